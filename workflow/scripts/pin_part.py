"""Pins the source files of one part."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.portals.manifest import pin_part

config = parse(snakemake.config)
organism = config.organisms[snakemake.wildcards.organism]
asked = {} if organism.sources else {"table": Path(snakemake.input.sources), "raw": Path(snakemake.params.raw)}
with logged(snakemake.log[0]):
    pin_part(
        organism,
        snakemake.wildcards.bundle,
        int(snakemake.wildcards.part),
        config.part_size,
        Path(snakemake.output.slice),
        **asked,
    )
