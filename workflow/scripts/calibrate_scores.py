"""Makes the table of quantiles of one model and organism."""

from pathlib import Path

from megabase.logs import logged
from megabase.scoring.calibration import calibrate

with logged(snakemake.log[0]):
    calibrate(Path(snakemake.input.scores), Path(snakemake.output.quantiles))
