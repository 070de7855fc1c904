"""Compares a student, or several alike, with the mean of the teachers."""

from pathlib import Path

from megabase.config import parse
from megabase.evaluation.distillation import compare_student
from megabase.logs import logged

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    compare_student(
        [Path(path) for path in snakemake.input.students],
        [Path(path) for path in snakemake.input.teachers],
        Path(snakemake.input.variants),
        Path(snakemake.output.table),
        config.evaluation,
        model=snakemake.wildcards.student,
        organism=snakemake.wildcards.organism,
        command=f"snakemake {snakemake.output.table}",
    )
