"""Writes the windows of one model in one organism."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.store.shards import write_shards

config = parse(snakemake.config)
organism, model = snakemake.wildcards.organism, snakemake.wildcards.model
with logged(snakemake.log[0]):
    write_shards(
        organism,
        config.organisms[organism],
        config.models[model].fold,
        Path(snakemake.params.store),
        [Path(path) for path in snakemake.input.blocks],
        Path(snakemake.input.frame),
        {split: Path(snakemake.output[split]) for split in ("train", "valid", "test")},
        Path(snakemake.output.leakage),
        config.shards,
    )
