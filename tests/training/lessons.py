"""Models of a few channels with every head, and batches for them with random targets."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
from flax import nnx

from megabase.model import ModelConfig
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import head_specs
from megabase.store.batches import Batch

LENGTH, SITES = 4096, 6
TINY = dataclasses.replace(
    NetworkConfig.demo(),
    channels=4,
    channel_step=0,
    blocks=1,
    heads=1,
    key_channels=4,
    value_channels=4,
    pair_channels=4,
    pair_heads=1,
    pair_position_features=4,
    junction_channels=4,
    junction_sites=SITES,
)
SPLICED = {"SPLICE_SITES": (4, 4), "SPLICE_SITE_USAGE": (4, 2), "SPLICE_JUNCTIONS": (2, 1)}


def config_of(*bundles: str, network: NetworkConfig = TINY) -> ModelConfig:
    """Two organisms with three and two tracks of each of these bundles."""
    tables = [
        {b: {"track": [f"{b} {i}" for i in range(SPLICED.get(b, (3, 2))[row])]} for b in bundles} for row in range(2)
    ]
    return ModelConfig(network, head_specs({"a": tables[0], "b": tables[1]}, {"a": 0, "b": 1}), 2)


def model_of(config: ModelConfig, seed: int = 0, dropout: float = 0.0) -> AlphaGenome:
    return AlphaGenome(config, dropout=dropout, rngs=nnx.Rngs(seed))


def batch_of(config: ModelConfig, seed: int = 0, organisms: tuple[int, ...] = (0,), length: int = LENGTH) -> Batch:
    """Random windows and targets, shaped as the store gives them."""
    draw, rows = np.random.default_rng(seed), len(organisms)
    sites = config.network.junction_sites
    targets, masks = {}, {}
    for spec in config.heads:
        bins = length // spec.read_at
        shape, known = (bins, spec.tracks), (bins, 1)
        values = draw.gamma(0.3, 3, (rows, *shape)).astype(ml_dtypes.bfloat16 if bins == length else np.float32)
        match spec.bundle:
            case "CONTACT_MAPS":
                values = draw.normal(size=(rows, bins, bins, spec.tracks)).astype(np.float32)
            case "SPLICE_SITES":
                values = np.eye(5, dtype=bool)[draw.choice(5, (rows, bins), p=(0.01, 0.01, 0.01, 0.01, 0.96))]
            case "SPLICE_SITE_USAGE":
                values = draw.random((rows, *shape)).astype(np.float32)
            case "SPLICE_JUNCTIONS":
                values = draw.poisson(3.0, (rows, sites, sites, 2 * spec.tracks)).astype(np.float32)
                known = (1, 1, 1)
        targets[spec.head], masks[spec.head] = values, np.ones((rows, *known), bool)
    genes = np.zeros((rows, length, 2, 2), bool)
    genes[:, 1000:2000, 0, 0] = genes[:, 500:1500, 1, 1] = True
    if "rna_seq" in targets:
        masks["genes"] = genes
    batch = Batch(
        sequence=draw.integers(0, 4, (rows, length), np.uint8),
        organism_index=np.array(organisms, np.int32),
        targets=targets,
        masks=masks,
    )
    if "splice_sites_junction" in targets:
        places = np.stack([draw.choice(length, (4, sites), replace=False) for _ in range(rows)])
        positions = np.sort(places, axis=-1).astype(np.int32)
        positions[:, 1, -2:] = -1
        batch["splice_site_positions"] = positions
    return batch
