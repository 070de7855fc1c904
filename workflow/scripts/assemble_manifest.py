"""Puts the slices of an organism together."""

from pathlib import Path

from megabase.logs import logged
from megabase.portals.manifest import assemble_manifest

with logged(snakemake.log[0]):
    assemble_manifest(
        [Path(path) for path in snakemake.input.slices],
        Path(snakemake.output.files),
        Path(snakemake.output.tracks),
    )
