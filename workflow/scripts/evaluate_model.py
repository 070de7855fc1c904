"""Scores one model on its test windows."""

from pathlib import Path

from megabase.config import parse
from megabase.evaluation.tracks import evaluate
from megabase.logs import logged
from megabase.store.shards import by_organism
from megabase.training.programs import prepare

config = parse(snakemake.config)
name, pieces = config.evaluations[snakemake.wildcards.evaluation]
organisms = config.trained[name].organisms
prepare(config.loop)
with logged(snakemake.log[0]):
    evaluate(
        Path(snakemake.input.model[0]).parent,
        by_organism(snakemake.input.shards),
        dict(zip(organisms, map(Path, snakemake.input.references), strict=True)),
        {name: Path(truth) if (truth := config.organisms[name].truth) else None for name in organisms},
        Path(snakemake.output.tracks).parent,
        config.evaluation,
        command=f"snakemake {snakemake.output.tracks}",
        pieces=pieces,
        name=snakemake.wildcards.evaluation,
    )
