"""Compares a student with the mean of its teachers."""

from pathlib import Path

from megabase.config import parse
from megabase.evaluation.distillation import compare_student
from megabase.logs import logged

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    compare_student(
        Path(snakemake.input.student),
        [Path(path) for path in snakemake.input.teachers],
        Path(snakemake.input.variants),
        Path(snakemake.output.table),
        config.evaluation,
        model=snakemake.wildcards.model,
        organism=snakemake.wildcards.organism,
        command=f"snakemake {snakemake.output.table}",
    )
