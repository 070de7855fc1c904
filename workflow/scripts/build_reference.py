"""Writes the reference of one organism."""

from pathlib import Path

from megabase.config import parse
from megabase.genome.reference import build_reference
from megabase.logs import logged

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    build_reference(config.organisms[snakemake.wildcards.organism], Path(snakemake.output.reference))
