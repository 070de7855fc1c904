"""Pins the source files of one block."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.portals.manifest import pin_block

config = parse(snakemake.config)
organism = config.organisms[snakemake.wildcards.organism]
asked = {} if organism.sources else {"table": Path(snakemake.input.sources), "raw": Path(snakemake.params.raw)}
with logged(snakemake.log[0]):
    pin_block(
        organism,
        snakemake.wildcards.bundle,
        int(snakemake.wildcards.block),
        config.store.block_tracks,
        Path(snakemake.output.slice),
        **asked,
    )
