"""Writes the reference of one organism."""

from pathlib import Path

from megabase.config import parse
from megabase.genome.reference import build_reference
from megabase.logs import logged
from megabase.portals.references import with_local_references
from megabase.simulate.loopback import portal_urls

config = parse(snakemake.config)
organism = config.organisms[snakemake.wildcards.organism]
with logged(snakemake.log[0]), portal_urls(config.world, Path(config.source_root)) as urls:
    local = with_local_references(organism, Path(snakemake.params.raw), config.portals, urls)
    build_reference(local, Path(snakemake.output.reference))
