"""Trains one model from data or from teachers, or goes on training it."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.store.shards import by_organism
from megabase.training.run import train

config = parse(snakemake.config)
name = snakemake.wildcards.model
out = Path(snakemake.output.description).parent
with logged(snakemake.log[0]):
    train(
        name,
        config.trained[name],
        config.recipe(name),
        config.loop,
        config.model,
        by_organism(snakemake.input.shards),
        Path(snakemake.params.checkpoints),
        Path(snakemake.params.logs),
        out,
        teachers=[out.parent / teacher for teacher in config.teachers(name)],
    )
