"""Compares models with the ones that they are like."""

from pathlib import Path

from megabase.evaluation.compared import compare_models
from megabase.logs import logged

with logged(snakemake.log[0]):
    compare_models(
        [Path(table) for table in snakemake.input.tables],
        snakemake.params.bases,
        Path(snakemake.output.table),
        command=f"snakemake {snakemake.output.table}",
    )
