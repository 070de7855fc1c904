"""Compares the manifest of one organism with the release."""

from pathlib import Path

from megabase.logs import logged
from megabase.portals.released import compare_files

with logged(snakemake.log[0]):
    compare_files(
        snakemake.wildcards.organism,
        Path(snakemake.input.files),
        Path(snakemake.input.released),
        Path(snakemake.output.table),
        Path(snakemake.output.text),
    )
