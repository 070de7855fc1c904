"""Scores the variants of one organism with one model."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.scoring.variants import Extras, score_variants
from megabase.training.programs import prepare

config = parse(snakemake.config)
prepare(config.loop)
quantiles = snakemake.input.get("quantiles")
with logged(snakemake.log[0]):
    score_variants(
        Path(snakemake.input.description).parent,
        Path(snakemake.input.reference),
        Path(snakemake.input.variants),
        Path(snakemake.output.scores),
        config.scoring,
        snakemake.params.get("organism") or snakemake.wildcards.organism,
        Extras(calibration=Path(quantiles) if quantiles else None),
    )
