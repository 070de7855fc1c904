"""Scores pairs of elements and genes with one model."""

from pathlib import Path

from megabase.commands.attribute import attribute
from megabase.config import parse
from megabase.evaluation.benchmarks.enhancers import write_pairs
from megabase.logs import logged
from megabase.training.programs import prepare

prepare(parse(snakemake.config).loop)
with logged(snakemake.log[0]):
    write_pairs(Path(snakemake.input.pairs), Path(snakemake.output.pairs))
    attribute(
        Path(snakemake.output.pairs),
        Path(snakemake.input.description).parent,
        Path(snakemake.output.scores),
        Path(snakemake.input.reference),
        snakemake.params.organism,
        tracks=snakemake.params.tracks,
    )
