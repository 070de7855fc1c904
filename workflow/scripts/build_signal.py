"""Builds the tracks of one block."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.signal.build import build_block

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    build_block(
        Path(snakemake.input.slice),
        Path(snakemake.input.reference),
        Path(snakemake.params.tracks),
        Path(snakemake.output.record),
        config.signal,
        config.organisms[snakemake.wildcards.organism],
    )
