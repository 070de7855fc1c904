"""Reading windows: the store, against zarr-python on the same store and against bigWig files.

Data of the statistics of replicate means (insertions on 5 % of bases) and of RNA coverage, 64 tracks along 4 Mb.
Contenders read the same windows in turn; medians of several rounds. Prints a JSON line per contender, then a table.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pybigtools
import pyBigWig
import zarr

from megabase.store.layout import create_array, open_array

LENGTH, TRACKS, WINDOW, ROUNDS = 4 << 20, 64, 131_072, 7
KINDS = ("insertions", "rna")


def layout(kind: str) -> np.ndarray:
    """Where signal is, shared by all tracks of a kind: rates per base, float32 [LENGTH]."""
    draw = np.random.default_rng(KINDS.index(kind))
    rates = np.full(LENGTH, 0.01 if kind == "insertions" else 0.0, np.float32)
    width = 350 if kind == "insertions" else 170
    for start in draw.integers(0, LENGTH - 5_000, LENGTH // (15_000 if kind == "insertions" else 4_000)):
        rates[start : start + max(20, int(draw.exponential(width)))] += draw.lognormal(-1.0, 1.2)
    return rates


def track(kind: str, rates: np.ndarray, index: int) -> np.ndarray:
    """One track: the mean of four noisy replicates, float32 [LENGTH]; RNA piles up over 100-bp reads."""
    draw = np.random.default_rng([KINDS.index(kind), index])
    total = np.zeros(LENGTH, np.float32)
    for depth in draw.random(4) + 0.3:
        counts = draw.poisson(rates * (depth if kind == "insertions" else depth / 20)).astype(np.float32)
        if kind == "rna":
            counts = np.cumsum(counts) - np.cumsum(np.concatenate([np.zeros(100, np.float32), counts[:-100]]))
        total += counts / depth
    return total / 4


def main() -> None:
    """Measures and prints."""
    rows = []
    starts = np.random.default_rng(0).integers(0, LENGTH - WINDOW, ROUNDS).tolist()
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            rates = layout(kind)
            values = np.stack([track(kind, rates, i) for i in range(TRACKS)], axis=1)
            bits = values.astype(ml_dtypes.bfloat16).view(np.uint16)
            path = Path(folder) / kind
            array = create_array(path, bits.shape, "uint16", rows=(8192, 1 << 20), codec="zstd-1", attributes={})
            began = time.perf_counter()
            array.write(bits).result()
            written = bits.nbytes / (time.perf_counter() - began) / 1e6
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            ratio = round(bits.nbytes / size, 1)
            rows.append(
                (f"write_{kind}", round(written, 1), "MB/s of bfloat16", f"{ratio} times smaller than dense", ratio)
            )
            speeds = compared(contenders(path, values, Path(folder)), starts)
            for name, speed in speeds.items():
                against = "zarr-python"
                rows.append(
                    (
                        f"read_{kind}_{name}",
                        round(speed, 1),
                        "MB/s of bfloat16",
                        against,
                        round(speed / speeds[against], 2),
                    )
                )
    for name, value, unit, against, ratio in rows:
        print(json.dumps({"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}))
    for name, value, unit, against, ratio in rows:
        print(f"{name:32} {value:>10} {unit:18} {ratio:>7} x {against}")


def contenders(path: Path, values: np.ndarray, folder: Path) -> dict[str, Callable[[int], object]]:
    """Ways to read one window of all tracks. bigWig: eight of the tracks, and the time is scaled."""
    ours, theirs = open_array(path), zarr.open_array(str(path), mode="r")
    files = []
    for i in range(8):
        name = folder / f"{path.name}.{i}.bw"
        with pyBigWig.open(str(name), "w") as file:
            file.addHeader([("chr1", LENGTH)])
            file.addEntries("chr1", 0, values=values[:, i].tolist(), span=1, step=1)
        files.append(pybigtools.open(str(name), "r"))
    buffer = np.zeros((WINDOW, TRACKS), np.uint16)

    def store(start: int) -> None:
        buffer[:] = ours[start : start + WINDOW].read().result()

    def bigwig(start: int) -> None:
        for file in files:
            file.values("chr1", start, start + WINDOW, fillna=0.0)

    return {"store": store, "zarr-python": lambda start: theirs[start : start + WINDOW], "pybigtools": bigwig}


def compared(readers: dict[str, Callable[[int], object]], starts: list[int]) -> dict[str, float]:
    """Median MB/s of bfloat16-equivalent, the contenders taking turns on each window."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for start in starts:
        for name, read in readers.items():
            began = time.perf_counter()
            read(start)
            seconds[name].append((time.perf_counter() - began) * (TRACKS / 8 if name == "pybigtools" else 1))
    megabytes = WINDOW * TRACKS * 2 / 1e6
    return {name: megabytes / statistics.median(times) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
