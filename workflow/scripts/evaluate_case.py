"""Writes the table of a case, from scores of its variants or from places in the reference."""

from pathlib import Path

from megabase.evaluation.benchmarks.cases import case_table, distance_table
from megabase.logs import logged

write, other = (
    (case_table, snakemake.input.scores)
    if snakemake.rule == "case_tal1"
    else (distance_table, snakemake.input.reference)
)
with logged(snakemake.log[0]):
    write(
        Path(snakemake.input.variants),
        Path(other),
        Path(snakemake.output.table),
        command=f"snakemake {snakemake.rule}",
    )
