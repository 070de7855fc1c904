"""Counts the splice junctions of one block of conditions."""

import functools
from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.portals.fetch import fetched_file
from megabase.signal.splicing.build import count_junctions
from megabase.simulate.loopback import portal_urls

config = parse(snakemake.config)
with logged(snakemake.log[0]), portal_urls(config.world, Path(config.source_root)) as urls:
    count_junctions(
        Path(snakemake.input.slice),
        Path(snakemake.input.reference),
        Path(snakemake.input.index),
        Path(snakemake.params.tracks),
        Path(snakemake.output.record),
        config.splicing,
        config.organisms[snakemake.wildcards.organism],
        opened=functools.partial(fetched_file, base_urls=urls, portals=config.portals),
        threads=snakemake.threads,
    )
