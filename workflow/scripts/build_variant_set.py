"""Builds one published set of variants."""

from pathlib import Path

from megabase.config import parse
from megabase.evaluation.variant_sets.build import build_variant_set, local_files
from megabase.logs import logged

config = parse(snakemake.config)
name = snakemake.wildcards.variant_set
source = config.variant_sets[name]
with logged(snakemake.log[0]):
    build_variant_set(
        name,
        local_files(source, Path(snakemake.params.raw), config.portals),
        Path(snakemake.input.reference),
        Path(snakemake.output.table),
        organism=source.organism,
        seed=source.seed,
    )
