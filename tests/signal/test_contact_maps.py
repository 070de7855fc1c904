"""Contact maps of fine bins are coarse-grained as a slow loop does it, then compared with their mean by distance."""

from __future__ import annotations

from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest

from megabase.errors import InputError
from megabase.signal.coarsegrain import CUTOFF, adaptive, levels
from megabase.signal.contacts import BAND, ContactMap
from megabase.signal.coverage import Place

SIZES = {"chr1": 90_500, "chr2": 21_000}


def thin_map(seed: int, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric raw counts and balancing weights, NaN in some bins."""
    rng = np.random.default_rng(seed)
    distance = np.abs(np.arange(bins)[:, None] - np.arange(bins))
    upper = np.triu(rng.poisson(60 / (1 + distance) ** 1.2))
    weights = rng.uniform(0.5, 2, bins)
    weights[rng.choice(bins, bins // 12, replace=False)] = np.nan
    return upper + np.triu(upper, 1).T, weights


def loop(values: np.ndarray, counts: np.ndarray, side: int) -> np.ndarray:
    """One square of `side` after another, from the largest: pixels of a square share what it was given above."""
    bins = len(values)
    valid = np.isfinite(values)
    sums = {1: np.where(valid, values, 0.0)}
    raw, pixels = {1: np.where(valid, counts, 0.0)}, {1: valid.astype(float)}
    size = 1
    while size < side:
        for table in (sums, raw, pixels):
            table[2 * size] = np.array(
                [
                    [table[size][2 * i : 2 * i + 2, 2 * j : 2 * j + 2].sum() for j in range(bins // (2 * size))]
                    for i in range(bins // (2 * size))
                ]
            )
        size *= 2
    while size > 1:
        fine = size // 2
        for i in range(bins // size):
            for j in range(bins // size):
                square = np.s_[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                if raw[fine][square].min() < CUTOFF and pixels[size][i, j]:
                    sums[fine][square] = sums[size][i, j] / pixels[size][i, j] * pixels[fine][square]
        size = fine
    return np.where(valid, sums[1], np.nan)


@pytest.mark.parametrize(("bins", "padded", "depth"), [(9, 10, 1), (16, 16, 1), (45, 48, 3), (91, 96, 4)])
def test_coarse_graining_equals_a_loop(bins: int, padded: int, depth: int) -> None:
    counts, weights = thin_map(bins, bins)
    assert levels(bins) == depth
    values = np.full((padded, padded), np.nan)
    values[:bins, :bins] = counts * weights[:, None] * weights
    raw = np.zeros((padded, padded))
    raw[:bins, :bins] = counts
    made = adaptive(values, raw, depth)
    assert np.allclose(made, loop(values, raw, 1 << depth), equal_nan=True, rtol=1e-12)


def test_maps_are_halved_at_most_eight_times_and_not_below_eight_bins() -> None:
    assert [levels(bins) for bins in (1, 8, 9, 300, 4096, 249_000)] == [0, 0, 1, 6, 8, 8]


def write_mcool(path: Path, resolutions: tuple[int, ...] = (1000,)) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A multi-resolution file, and the counts and weights of each chromosome at the first bin size."""
    maps = {}
    for resolution in resolutions:
        starts = [(chrom, at) for chrom, size in SIZES.items() for at in range(0, size, resolution)]
        bins = pd.DataFrame(starts, columns=["chrom", "start"])
        bins["end"] = np.minimum(bins["start"] + resolution, bins["chrom"].map(SIZES))
        pixels, weights, first = [], [], 0
        for seed, (chrom, size) in enumerate(SIZES.items()):
            count = -(-size // resolution)
            counts, weight = thin_map(seed, count)
            maps.setdefault(chrom, (counts, weight))
            rows, columns = np.nonzero(np.triu(counts))
            made = {"bin1_id": rows + first, "bin2_id": columns + first, "count": counts[rows, columns]}
            pixels.append(pd.DataFrame(made))
            weights.append(weight)
            first += count
        bins["weight"] = np.concatenate(weights)
        cooler.create_cooler(f"{path}::resolutions/{resolution}", bins, pd.concat(pixels, ignore_index=True), mode="a")
    return maps


def place(path: Path) -> Place:
    return Place(str(path), SIZES, {}, None, tolerance=1000)


@pytest.mark.parametrize("coarsened", [True, False])
def test_log_ratios_of_a_multi_resolution_file(tmp_path: Path, coarsened: bool) -> None:
    path = tmp_path / "map.mcool"
    maps = write_mcool(path, (1000, 10_000))
    opened = ContactMap(path, place(path), resolution=1000, coarsen_up_to=1000 if coarsened else 999)
    found = dict(opened.log_ratios())
    assert list(found) == ["chr1", "chr2"] and opened.bin == 1000
    offsets = BAND // 1000 + 1
    bands = {}
    for chrom, (counts, weights) in maps.items():
        values, bins = counts * weights[:, None] * weights, len(counts)
        if coarsened:
            padded = 1 << int(np.ceil(np.log2(bins)))
            wide, raw = np.full((padded, padded), np.nan), np.zeros((padded, padded))
            wide[:bins, :bins], raw[:bins, :bins] = values, counts
            values = loop(wide, raw, 1 << levels(bins))[:bins, :bins]
        bands[chrom] = np.full((bins, offsets), np.nan)
        for offset in range(min(bins, offsets)):
            bands[chrom][: bins - offset, offset] = np.diagonal(values, offset)
    stacked = np.concatenate(list(bands.values()))
    means = np.array([np.mean(column[column > 0]) if (column > 0).any() else np.nan for column in stacked.T])
    means = pd.Series(means).ffill().to_numpy()
    for chrom, band in bands.items():
        expected = np.log((band + means.min()) / (means + means.min()))
        assert np.allclose(found[chrom], expected, equal_nan=True, rtol=1e-9)


def test_a_missing_resolution_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "map.mcool"
    write_mcool(path, (10_000,))
    with pytest.raises(
        InputError, match=r"map\.mcool: no map of 1000 bp; it has 10000: set signal\.contact_resolution"
    ):
        ContactMap(path, place(path), resolution=1000)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"map\.mcool: truncated or not a cooler"):
        ContactMap(path, place(path), resolution=1000)
