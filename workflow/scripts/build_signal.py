"""Builds the tracks of one block."""

import functools
from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.portals.fetch import fetched_file
from megabase.signal.build import build_block
from megabase.simulate.loopback import portal_urls

config = parse(snakemake.config)
with logged(snakemake.log[0]), portal_urls(config.world, Path(config.source_root)) as urls:
    build_block(
        Path(snakemake.input.slice),
        Path(snakemake.input.reference),
        Path(snakemake.params.tracks),
        Path(snakemake.output.record),
        config.signal,
        config.organisms[snakemake.wildcards.organism],
        opened=functools.partial(fetched_file, base_urls=urls, portals=config.portals),
    )
