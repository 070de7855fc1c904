"""Reading source files: our bigWig reader against pyBigWig, our cut sites against `bedtools genomecov`.

Files are made here. Contenders take turns; medians of several rounds. Prints a JSON line per contender, then a table.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyBigWig
import pysam

from megabase.genome.bedtools import find_bedtools
from megabase.signal.alignments import Alignments
from megabase.signal.bigwig import BigWig
from megabase.signal.config import SignalConfig
from megabase.signal.coverage import Place

LENGTH, READS, ROUNDS = 8 << 20, 400_000, 5


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bigwig, bam = written_bigwig(folder / "a.bw"), written_bam(folder / "a.bam")
        place = Place("made", {"chr1": LENGTH}, {}, None)
        reader = BigWig(bigwig, place, negated=False)
        bedtools = str(find_bedtools() / "bedtools")

        def ours() -> np.ndarray:
            how = {"reading": "cut_sites", "strand": ".", "library": "", "shift": (0, 0)}
            return Alignments(bam, place, SignalConfig(), **how).values("chr1")  # type: ignore[arg-type]

        def theirs() -> bytes:
            return subprocess.run(
                [bedtools, "genomecov", "-5", "-bg", "-ibam", str(bam)], capture_output=True, check=True
            ).stdout

        rows = []
        oracle = pyBigWig.open(str(bigwig))
        speeds = compared(
            {
                "ours": lambda: reader.values("chr1"),
                "pyBigWig": lambda: np.nan_to_num(oracle.values("chr1", 0, LENGTH, numpy=True)),
            }
        )
        for name, seconds in speeds.items():
            value = LENGTH / seconds / 1e6
            rows.append(
                (f"bigwig_{name}", round(value, 1), "Mbp/s", "pyBigWig", round(speeds["pyBigWig"] / seconds, 2))
            )
        speeds = compared({"ours": ours, "bedtools": theirs})
        for name, seconds in speeds.items():
            value = READS / seconds / 1e6
            rows.append(
                (
                    f"cut_sites_{name}",
                    round(value, 3),
                    "million reads/s",
                    "bedtools",
                    round(speeds["bedtools"] / seconds, 2),
                )
            )
    for name, value, unit, against, ratio in rows:
        print(json.dumps({"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}))
    for name, value, unit, against, ratio in rows:
        print(f"{name:24} {value:>10} {unit:16} {ratio:>7} x {against}")


def compared(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def written_bigwig(path: Path) -> Path:
    """Insertion counts on 5 % of bases."""
    draw = np.random.default_rng(0)
    starts = np.flatnonzero(draw.random(LENGTH) < 0.05)
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([("chr1", LENGTH)])
        file.addEntries(
            ["chr1"] * len(starts),
            starts.tolist(),
            ends=(starts + 1).tolist(),
            values=draw.gamma(1, 2, len(starts)).tolist(),
        )
    return path


def written_bam(path: Path) -> Path:
    """Single reads of 36 bp on both strands."""
    draw = np.random.default_rng(0)
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": "chr1", "LN": LENGTH}]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as bam:
        for start in np.sort(draw.integers(0, LENGTH - 36, READS)):
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.flag, read.reference_id = "r", int(draw.integers(2)) * 16, 0
            read.reference_start, read.mapping_quality, read.cigarstring = int(start), 60, "36M"
            read.query_sequence = "A" * 36
            bam.write(read)
    pysam.index(str(path))
    return path


if __name__ == "__main__":
    main()
