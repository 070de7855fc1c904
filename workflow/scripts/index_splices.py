"""Writes STAR's index of one genome."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.signal.splicing.align import build_index

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    build_index(
        Path(snakemake.input.reference), Path(snakemake.output.index), config.splicing, threads=snakemake.threads
    )
