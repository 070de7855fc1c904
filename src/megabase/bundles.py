"""The eleven output types and what is fixed about each: a bundle is all tracks of one output type.

Source of every constant: reference paper sections 1.1, 1.5 and 4.1 (Avsec et al., Methods).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

BundleName = Literal[
    "ATAC",
    "CAGE",
    "DNASE",
    "RNA_SEQ",
    "PROCAP",
    "CHIP_HISTONE",
    "CHIP_TF",
    "CONTACT_MAPS",
    "SPLICE_SITES",
    "SPLICE_SITE_USAGE",
    "SPLICE_JUNCTIONS",
]

_SPLICING_HEADS = {
    "SPLICE_SITES": "splice_sites_classification",
    "SPLICE_SITE_USAGE": "splice_sites_usage",
    "SPLICE_JUNCTIONS": "splice_sites_junction",
}


@dataclasses.dataclass(frozen=True)
class Bundle:
    """One output type."""

    name: BundleName
    kind: Literal["signal", "contact_maps", "splicing"]
    store_bin: int
    """Bin of the stored values, in bp (contact maps keep each file's own bin: 0 here)."""
    resolutions: tuple[int, ...]
    """Resolutions of the head, in bp; a target at resolution r is the sum of the 1-bp signal over r bases."""
    total: float | None = None
    """Every track (RNA_SEQ: both strands of a pair together) is scaled to this sum over the genome; None: as it is."""
    squash: float = 1.0
    """Exponent applied to targets before the soft clip in the loss."""

    @property
    def head(self) -> str:
        """Name of the head and of its predictions: `RNA_SEQ` -> `rna_seq`."""
        return _SPLICING_HEADS.get(self.name, self.name.lower())


_ALL = (
    Bundle("ATAC", "signal", 1, (1, 128), total=1e8),
    Bundle("CAGE", "signal", 1, (1, 128), total=1e8),
    Bundle("DNASE", "signal", 1, (1, 128), total=1e8),
    Bundle("RNA_SEQ", "signal", 1, (1, 128), total=1e8, squash=0.75),
    Bundle("PROCAP", "signal", 1, (1, 128), total=1e8),
    Bundle("CHIP_HISTONE", "signal", 16, (128,)),
    Bundle("CHIP_TF", "signal", 16, (128,)),
    Bundle("CONTACT_MAPS", "contact_maps", 0, (2048,)),
    Bundle("SPLICE_SITES", "splicing", 1, (1,)),
    Bundle("SPLICE_SITE_USAGE", "splicing", 1, (1,)),
    Bundle("SPLICE_JUNCTIONS", "splicing", 1, (1,)),
)
BUNDLES: dict[str, Bundle] = {bundle.name: bundle for bundle in _ALL}
