"""Trains one model, or goes on training it."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.store.shards import by_organism
from megabase.training.run import train

config = parse(snakemake.config)
name = snakemake.wildcards.model
with logged(snakemake.log[0]):
    train(
        name,
        config.models[name],
        config.recipe(name),
        config.loop,
        config.model,
        by_organism(snakemake.input.shards),
        Path(snakemake.params.checkpoints),
        Path(snakemake.params.logs),
        Path(snakemake.output.description).parent,
    )
