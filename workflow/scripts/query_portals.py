"""Pins what the portals have of one organism."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.portals.query import write_sources
from megabase.simulate.loopback import portal_urls

config = parse(snakemake.config)
organism = snakemake.wildcards.organism
with logged(snakemake.log[0]), portal_urls(config.world, Path(config.source_root)) as urls:
    write_sources(
        organism,
        config.organisms[organism],
        config.queries[organism],
        config.portals,
        Path(snakemake.output.sources),
        urls,
        # Simulated portals answer what the config says: there is nothing to keep for good.
        pin=None if config.world else Path(snakemake.params.pin),
    )
