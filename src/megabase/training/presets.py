"""Fine-tuning for comparison with other models: their bin, their windows, and the part of these that they predict.

What the paper says of it (paper reference section 8.1): a model of the fold that Borzoi holds out, tuned with a head of
Borzoi's 32-bp bins; and one for Enformer's windows whose loss counts 114,688 bp. Steps and rates are our choice: peak
and clipping of the release's example of fine-tuning (section 5), and a short warm-up because heads begin anew.
"""

from __future__ import annotations

from typing import Any, Literal

from megabase.bundles import BUNDLES

PresetName = Literal["borzoi_32bp", "enformer_128bp"]

_TUNED: dict[str, Any] = {
    "steps": 5_000,
    "learning_rate": 0.0005,
    "warmup": 500,
    "weight_decay": 0.04,
    "clip_norm": 0.5,
    "dropout": 0.1,
    # Neither model predicts contacts or splicing.
    "head_weights": {bundle.head: 0.0 for bundle in BUNDLES.values() if bundle.kind != "signal"},
}


def _bins(resolution: int) -> dict[str, list[int]]:
    return {bundle.head: [resolution] for bundle in BUNDLES.values() if bundle.kind == "signal"}


PRESETS: dict[PresetName, dict[str, Any]] = {
    "borzoi_32bp": {
        "resolutions": _bins(32),
        # Windows of 524,288 bp, of which 6,144 bins are trained on: two of 1 Mb.
        "training": _TUNED | {"pieces": 2, "batch": 32, "central": 196_608},
    },
    "enformer_128bp": {
        "resolutions": _bins(128),
        # Windows of 196,608 bp, of which 896 bins are: five of 1 Mb. The profile's segments must divide them.
        "training": _TUNED
        | {"pieces": 5, "window": 196_608, "batch": 12, "central": 114_688, "multinomial_window": 65_536},
    },
}
"""Keys of an entry of `models`, by the name of the preset."""
