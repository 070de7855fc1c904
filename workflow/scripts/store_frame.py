"""Writes the sequence and masks of a store."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.store.writer import write_frame

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    write_frame(
        Path(snakemake.input.reference),
        Path(snakemake.params.store),
        Path(snakemake.output.record),
        config.store,
    )
