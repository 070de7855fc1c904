"""Puts the tables of all models into one."""

from pathlib import Path

from megabase.evaluation.summary import summarise
from megabase.logs import logged

with logged(snakemake.log[0]):
    summarise([Path(table) for table in snakemake.input.tables], Path(snakemake.output.summary))
