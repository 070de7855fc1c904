"""Operations of the model, counted from the shapes of its layers: a multiply-add is two. Norms, activations and the
pairs of splice sites are left out."""

from __future__ import annotations

import itertools

from megabase.model.spec import ModelConfig


def forward_operations(config: ModelConfig, length: int) -> float:
    """Of one window of `length` bp through the network and all its heads."""
    n, widths = config.network, config.network.widths
    tokens, bins, trunk, pairs = length // 128, length // 2048, n.trunk_channels, n.pair_channels
    fine, coarse = 2 * n.channels, 2 * trunk
    total = length * (15 * 4 + 5 * n.channels) * n.channels
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
        total += (length >> i) * 5 * (inputs + outputs) * outputs
    for i, (inputs, outputs) in enumerate(zip((*widths[1:], trunk), widths, strict=True)):
        total += (length >> i) * (5 * inputs // 2 + 6 * outputs) * outputs
    projections = trunk * (n.heads + 1) * (n.key_channels + n.value_channels)
    attention = n.heads * tokens * (n.key_channels + n.value_channels)
    total += n.blocks * (tokens * (projections + attention + 4 * trunk**2) + bins**2 * pairs * n.heads)
    inner = n.pair_heads * pairs
    # Sequence to pair, then attention along rows and the MLP of each pair.
    update = 2 * bins * (trunk * (inner + pairs) + n.pair_position_features * inner)
    update += bins**2 * (5 * inner + n.pair_heads * pairs + (2 * bins + 7 * pairs) * pairs)
    total += (n.blocks + 1) // 2 * update
    total += tokens * (trunk + fine) * coarse + length * n.channels * fine
    for spec in config.heads:
        if spec.bundle == "SPLICE_JUNCTIONS":
            total += length * fine * n.junction_channels
        elif spec.bundle == "CONTACT_MAPS":
            total += bins**2 * pairs * spec.tracks
        else:
            total += sum({1: length * fine, 128: tokens * coarse}[r] * spec.tracks for r in spec.settings.resolutions)
    return 2.0 * total
