"""Chooses the common variants that scores are compared with."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.scoring.background import choose_background

config = parse(snakemake.config)
with logged(snakemake.log[0]):
    choose_background(
        Path(snakemake.input.variants),
        Path(snakemake.output.background),
        config.scoring.background,
    )
