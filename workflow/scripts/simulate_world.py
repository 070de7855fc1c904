"""Writes the simulated world."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.simulate.world import write_world

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    write_world(config.world, Path(config.source_root))
