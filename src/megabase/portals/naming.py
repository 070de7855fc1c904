"""The one place that names tracks, so that the manifest, the simulated truth and the scores all agree."""

from __future__ import annotations

from megabase.bundles import BUNDLES

GTEX_ASSAY = "GTEx RNA-seq"
"""Assay of the means over GTEx's individuals, which have no assay title of ENCODE's."""


def track_name(bundle: str, biosample: str, assay: str, target: str = "", modification: str = "") -> str:
    """What a track is called: `K562 DNase-seq`, `K562 CTCF TF ChIP-seq`; a splicing condition is its biosample.

    `modification` describes a genetically modified sample, whose tracks are apart from those of the sample as it is.
    The strand is no part of the name: the two tracks of a pair share it (`portals.sources.identifier` adds it).
    """
    if BUNDLES[bundle].kind == "splicing":
        return biosample
    return " ".join(part for part in (biosample, target, assay, modification) if part)
