"""Trains one model from data or from teachers, or goes on training it: here, or on the hosts that a profile names."""

from pathlib import Path

from megabase.config import parse
from megabase.launch.start import start
from megabase.launch.task import Job
from megabase.logs import logged
from megabase.store.shards import by_organism

config = parse(snakemake.config)
name = snakemake.wildcards.model
out = Path(snakemake.output.description).parent
job = Job(
    name,
    config.trained[name],
    config.recipe(name),
    config.loop,
    config.model,
    by_organism(snakemake.input.shards),
    Path(snakemake.params.checkpoints),
    Path(snakemake.params.logs),
    out,
    [out.parent / teacher for teacher in config.teachers(name)],
    Path(snakemake.input.start[0]).parent if config.trained[name].start else None,
)
with logged(snakemake.log[0]):
    start(job, dict(snakemake.resources.items()))
