"""Writes the variants of a set as a VCF."""

from pathlib import Path

from megabase.evaluation.benchmarks.sets import write_vcf
from megabase.logs import logged

with logged(snakemake.log[0]):
    write_vcf(Path(snakemake.input.variants), Path(snakemake.output.vcf))
