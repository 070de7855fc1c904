"""Writes the splicing tables of a store."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.store.splicing_writer import write_splicing

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    write_splicing(
        [Path(path) for path in snakemake.input.records],
        Path(snakemake.params.tracks),
        Path(snakemake.params.store),
        Path(snakemake.output.record),
    )
