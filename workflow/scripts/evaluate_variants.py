"""Tells planted variants from their controls by the scores of one model."""

from pathlib import Path

from megabase.config import parse
from megabase.evaluation.variants import evaluate_variants
from megabase.logs import logged

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    evaluate_variants(
        Path(snakemake.input.scores),
        Path(snakemake.input.variants),
        Path(snakemake.output.table),
        config.evaluation,
        model=snakemake.wildcards.model,
        organism=snakemake.wildcards.organism,
        command=f"snakemake {snakemake.output.table}",
    )
