"""Writes the tracks of the release as a table."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.portals.references import with_local_references
from megabase.portals.released import write_released

config = parse(snakemake.config)
organism = config.organisms[snakemake.wildcards.organism]
with logged(snakemake.log[0]):
    local = with_local_references(organism, Path(snakemake.params.raw), config.portals, keys=("released",))
    write_released(Path(local.released), Path(snakemake.output.table))
