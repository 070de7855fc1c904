"""Writes the windows of one fold in one organism."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.store.shards import write_shards

config = parse(snakemake.config)
organism = snakemake.wildcards.organism
with logged(snakemake.log[0]):
    write_shards(
        organism,
        config.organisms[organism],
        snakemake.params.number,
        Path(snakemake.params.store),
        [Path(path) for path in snakemake.input.blocks],
        Path(snakemake.input.frame),
        {split: Path(snakemake.output[split]) for split in ("train", "valid", "test")},
        Path(snakemake.output.leakage),
        config.shards,
        splicing=next((Path(path) for path in snakemake.input.splicing), None),
        reference=next((Path(path) for path in snakemake.input.places), None),
    )
