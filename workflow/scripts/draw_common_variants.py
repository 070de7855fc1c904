"""Draws the common variants of one organism of the simulated world."""

from pathlib import Path

from megabase.config import parse
from megabase.genome.reference import Reference
from megabase.logs import logged
from megabase.simulate.population import write_population

config = parse(snakemake.config)
organism = snakemake.wildcards.organism
with logged(snakemake.log[0]):
    write_population(
        Reference.open(Path(snakemake.input.reference)),
        organism,
        config.world,
        Path(snakemake.output.variants),
    )
