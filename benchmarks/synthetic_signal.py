"""Signal with the statistics of real tracks, for benchmarks: sparse single samples and the means that are trained on.

Where exons, peaks and start clusters lie is shared by all tracks of a kind, as in real data; depth and noise are a
track's own. Every value follows from kind, length and track number.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Float64, Int

READ = 100
"""Length of an RNA-seq read, in bp."""
TAG = 75
"""Length of a DNase-seq read, in bp."""
FRAGMENT = 200
"""Length of a ChIP fragment, in bp."""


def signal(kind: str, length: int, track: int) -> Float32[np.ndarray, " S"]:
    """One track. `cage`, `rna`, `dnase`: one sample (0.5 %, 8 % and 60 % of bases are not zero). `insertions_mean`:
    cut sites, the mean of four replicates (5 %). `rna_mean`: coverage, the mean of six samples (13 %). `chip`: fold
    change over control, everywhere above zero."""
    draw = _draws(kind, track)
    if kind == "insertions_mean":
        rates = _peaks(kind, length, 15_000, 350, (-1.0, 1.2), 0.8, 0.012, draw)
        replicates = [draw.poisson(rates * depth) / depth for depth in 0.3 + draw.random(4)]
        return np.mean(replicates, axis=0, dtype=np.float64).astype(np.float32) * np.float32(1.37 + track / 100)
    if kind == "rna_mean":
        samples = [_rna(length, draw) * (0.5 + draw.random()) for _ in range(6)]
        return np.mean(samples, axis=0).astype(np.float32)
    if kind == "chip":
        rates = _peaks(kind, length, 30_000, 900, (-3.0, 1.0), 0.7, 0.004, draw)
        treated, control = (_piled(draw.poisson(rate), FRAGMENT) for rate in (rates, np.full(length, 0.004)))
        return ((treated + 1) / (control + 1)).astype(np.float32)
    scale = 100 / (50 + draw.integers(0, 400))
    if kind == "rna":
        return (_rna(length, draw) * scale).astype(np.float32)
    if kind == "dnase":
        rates = _peaks(kind, length, 15_000, 350, (-2.2, 1.2), 0.9, 0.0115, draw)
        return (_piled(draw.poisson(rates), TAG) * scale).astype(np.float32)
    if kind == "cage":
        return (draw.poisson(_clusters(length, draw)) * scale).astype(np.float32)
    raise ValueError(kind)


def _draws(kind: str, *more: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(kind.encode()), *more])


def _spread(
    length: int, starts: Int[np.ndarray, " n"], widths: Int[np.ndarray, " n"], heights: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " S"]:
    """The sum of boxes at every base."""
    steps = np.zeros(length + 1)
    np.add.at(steps, starts, heights)
    np.add.at(steps, np.minimum(starts + widths, length), -heights)
    return np.maximum(np.cumsum(steps[:-1]), 0)


def _peaks(
    kind: str,
    length: int,
    apart: int,
    width: int,
    heights: tuple[float, float],
    noise: float,
    background: float,
    draw: np.random.Generator,
) -> Float64[np.ndarray, " S"]:
    """Rates per base: a peak every `apart` bp on average, log-normal `heights`, and a track's own factor for each."""
    shared, count = _draws(f"{kind} layout"), length // apart
    starts = shared.integers(0, length, count)
    widths = np.maximum(20, shared.exponential(width, count)).astype(int)
    own = shared.lognormal(*heights, count) * draw.lognormal(0, noise, count)
    return background + _spread(length, starts, widths, own)


def _rna(length: int, draw: np.random.Generator) -> Int[np.ndarray, " S"]:
    """Coverage of one sample: exons of 160 bp on 4.5 % of bases, introns on 10 %."""
    shared = _draws("rna layout")
    exons, introns = int(length * 0.045 / 170), int(length * 0.10 / 5000)
    starts, widths = shared.integers(0, length, exons), np.maximum(20, shared.exponential(160, exons)).astype(int)
    heights = shared.lognormal(-3.2, 1.9, exons) * draw.lognormal(0, 0.8, exons)
    wide = np.maximum(20, shared.exponential(4500, introns)).astype(int)
    low = 0.004 * draw.lognormal(0, 0.5, introns)
    rates = _spread(length, starts, widths, heights) + _spread(length, shared.integers(0, length, introns), wide, low)
    return _piled(draw.poisson(rates), READ)


def _clusters(length: int, draw: np.random.Generator) -> Float64[np.ndarray, " S"]:
    """Rates of transcription starts: a cluster some 20 bp wide every 20 kb, and a little everywhere."""
    shared, count = _draws("cage layout"), length // 20_000
    rates = np.full(length, 0.0019)
    weights = shared.lognormal(1.2, 1.5, count) * draw.lognormal(0, 0.6, count)
    around = np.arange(-40, 40)
    for centre, weight in zip(shared.integers(40, length - 40, count), weights, strict=True):
        rates[centre + around] += weight * np.exp(-((around / 12) ** 2))
    return rates


def _piled(starts: Int[np.ndarray, " S"], width: int) -> Int[np.ndarray, " S"]:
    """Coverage of reads of one width, from how many begin at every base."""
    steps = starts.astype(np.int64)
    steps[width:] -= starts[:-width]
    return np.cumsum(steps)


def bands(length: int, maps: int) -> Iterator[Float32[np.ndarray, "bins offsets"]]:
    """Contact maps of 1-kb bins as the store has them: log observed over expected, some of it missing."""
    for number in range(maps):
        draw = _draws("contacts", number)
        band = draw.normal(0, 0.5, (length // 1000, 1056)).astype(np.float32)
        band[draw.random(len(band)) < 0.05] = np.nan
        yield band
