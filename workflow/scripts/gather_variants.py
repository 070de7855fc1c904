"""Puts the variant tables of all models into one."""

from pathlib import Path

from megabase.evaluation.summary import gather
from megabase.logs import logged

with logged(snakemake.log[0]):
    gather([Path(table) for table in snakemake.input.tables], Path(snakemake.output.table))
