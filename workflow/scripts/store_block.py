"""Writes one block of a store."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.store.writer import write_block

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    write_block(
        [Path(part) for part in snakemake.input.signal],
        Path(snakemake.params.tracks),
        Path(snakemake.params.store),
        Path(snakemake.output.record),
        config.store,
    )
