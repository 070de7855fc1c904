"""Checks the tracks of one organism."""

from pathlib import Path

from megabase.config import parse
from megabase.evaluation.quality import check_signal
from megabase.logs import logged

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    check_signal(
        [Path(path) for path in snakemake.input.records],
        Path(snakemake.params.tracks),
        Path(snakemake.input.reference),
        Path(snakemake.output.table),
        config.signal.total,
        tuple(Path(path) for path in snakemake.input.manifest),
    )
