"""Pins the source files of one block."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.portals.manifest import pin_block

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    pin_block(
        config.organisms[snakemake.wildcards.organism],
        snakemake.wildcards.bundle,
        int(snakemake.wildcards.block),
        config.store.block_tracks,
        Path(snakemake.output.slice),
    )
