"""Writing and reading the store on one core, beside what others store training data in.

Signal of the statistics of replicate means, and of single samples: 64 tracks along 1 Mb, bfloat16. Contenders take
turns on the same random windows, which they read into the caller's buffer where they can; medians of all windows, in
seconds of the processor, all threads together, so that what else runs on the machine counts as little as it can.
Prints a JSON line per figure, then a table, then the cores that a training step of the paper's size needs for reading.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CORE = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {CORE})
# Libraries start as many threads as there are cores: they look only once.

import google_crc32c  # noqa: E402
import ml_dtypes  # noqa: E402
import numpy as np  # noqa: E402
import zarr  # noqa: E402
from synthetic_signal import bands, signal  # noqa: E402

from megabase.store.binning import averaged_map, binned_sums  # noqa: E402
from megabase.store.layout import create_array, open_array, write_rows  # noqa: E402
from megabase.store.rows import Rows  # noqa: E402
from megabase.store.writer import tried_codecs  # noqa: E402

LENGTH, TRACKS, WINDOW, WINDOWS = 1 << 20, 64, 131_072, 25
MEANS, SAMPLES = ("insertions_mean", "rna_mean"), ("dnase", "rna", "cage")
CHUNK, MEAN = 8192, 16
# What a step of the paper reads (data reference 0): 64 windows of 1 Mb of all human tracks, 15,000 steps in 4 hours.
BATCH, STEP_SECONDS = 64, 4 * 3600 / 15_000
HUMAN = {"insertions_mean": 305 + 167, "rna_mean": 667, "cage": 546 + 12}
HUMAN_CHIP, HUMAN_MAPS = 1116 + 1617, 28

Figures = list[tuple[str, float, str, str, float]]


def main() -> None:
    """Measures and prints."""
    rows: Figures = []
    speeds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in (*MEANS, *SAMPLES):
            values = np.stack([signal(kind, LENGTH, track) for track in range(TRACKS)], axis=1)
            made = Contenders(values, Path(folder) / kind)
            rows.append(
                (f"write_{kind}", made.written, "GB/s", f"the room of dense bfloat16, by {made.codec}", made.ratio)
            )
            found = compared(made.readers, draws())
            speeds[kind] = found["store"]
            rows += [
                (f"read_{kind}", found["store"], "GB/s", f"{name} at {found[name]:.2f}", found["store"] / found[name])
                for name in found
                if name != "store"
            ]
        rows.append(memory(Path(folder) / MEANS[0] / "store"))
        chip, chip_rows = chip_windows(Path(folder))
        rows += chip_rows
    maps = contact_maps()
    rows.append(("contact_map_windows", 1 / maps, "1/s", "a second each", 1 / maps))
    for name, value, unit, against, ratio in rows:
        print(json.dumps({"name": name, "value": value, "unit": unit, "against": against, "ratio": round(ratio, 3)}))
    for name, value, unit, against, ratio in rows:
        print(f"{name:24} {value:>9.3g} {unit:6} {ratio:>7.3g} x {against}")
    cores(speeds, chip, maps)


def draws() -> list[int]:
    """Starts of the random windows."""
    return np.random.default_rng(0).integers(0, LENGTH - WINDOW, WINDOWS).tolist()


class Contenders:
    """One block of tracks in every store, and ways to read a window of all its tracks."""

    def __init__(self, values: np.ndarray, folder: Path) -> None:
        folder.mkdir()
        bits = values.astype(ml_dtypes.bfloat16).view(np.uint16)
        self.buffer, self.wide = np.zeros((WINDOW, TRACKS), np.uint16), np.zeros((WINDOW, TRACKS), np.float32)
        self.codec, _ = tried_codecs(bits, CHUNK)
        self.written = max(stored(folder / f"try{number}", bits, self.codec) for number in range(3))
        stored(folder / "store", bits, self.codec)
        self.ratio = bits.nbytes / sum(file.stat().st_size for file in (folder / "store").rglob("*") if file.is_file())
        stored(folder / "shuffled", bits, "blosc-zstd-bitshuffle")
        for track in range(TRACKS):
            np.save(folder / f"{track}.npy", values[:, track])
        self.arrays = [np.load(folder / f"{track}.npy", mmap_mode="r") for track in range(TRACKS)]
        write_records(folder / "windows.tfrecord.gz", [bits[start : start + WINDOW] for start in draws()[:6]])
        records = read_records(folder / "windows.tfrecord.gz")
        stored(folder / "plain", bits, "zstd-1")
        ours, shuffled, plain = (Rows.open(folder / name) for name in ("store", "shuffled", "plain"))
        zarrs = zarr.open_array(str(folder / "store"), mode="r")
        self.readers: dict[str, Callable[[int], object]] = {
            "store": lambda start: whole(ours, self.buffer, start),
            "blosc-zstd-bitshuffle": lambda start: whole(shuffled, self.buffer, start),
            "plain zstd-1": lambda start: whole(plain, self.buffer, start),
            "zarr-python": lambda start: zarrs[start : start + WINDOW],
            "a float32 array per track": self.by_track,
            # Such a file cannot be read at random: whatever is asked for, it gives the next window.
            "gzip TFRecord, in order": lambda start: next(records),
        }

    def by_track(self, start: int) -> None:
        for track, array in enumerate(self.arrays):
            self.wide[:, track] = array[start : start + WINDOW]


def stored(path: Path, bits: np.ndarray, codec: str) -> float:
    """Writes an array as the store has it, one shard; GB/s."""
    shape, width = bits.shape, bits.shape[1]
    array = create_array(path, shape, "uint16", chunk=(CHUNK, width), shard=(shape[0], width), codec=codec)
    began = time.process_time()
    write_rows(array, 0, bits)
    return bits.nbytes / (time.process_time() - began) / 1e9


def whole(rows: Rows, into: np.ndarray, start: int) -> None:
    """All rows that fit the buffer."""
    for piece in rows.begin(into, start):
        piece.result()


def write_records(path: Path, windows: list[np.ndarray]) -> None:
    """Windows as a gzipped TFRecord file: each an Example whose only feature is a list of one string of bytes. A
    record is its length, a masked CRC-32C of that, the bytes, and a masked CRC-32C of them."""
    with gzip.open(path, "wb") as file:
        for window in windows:
            content = field(1, field(1, field(1, b"target") + field(2, field(1, field(1, window.tobytes())))))
            length = struct.pack("<Q", len(content))
            file.write(length + masked(length) + content + masked(content))


def read_records(path: Path) -> Iterator[np.ndarray]:
    """The windows of such a file, checked, again and again."""
    while True:
        with gzip.open(path) as file:
            while head := file.read(12):
                content = file.read(struct.unpack("<Q", head[:8])[0])
                if file.read(4) != masked(content):
                    raise ValueError("broken record")
                # The values are the end of the Example: they are the last field of every message in it.
                yield np.frombuffer(content[-WINDOW * TRACKS * 2 :], np.uint16).reshape(WINDOW, TRACKS)


def field(number: int, content: bytes) -> bytes:
    """A protocol buffer's field of bytes."""
    length, size = len(content), b""
    while length > 127:
        size += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def masked(content: bytes) -> bytes:
    """The checksum of the TFRecord format."""
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def compared(readers: dict[str, Callable[[int], object]], starts: list[int]) -> dict[str, float]:
    """Median GB/s of bfloat16 values, whatever they are stored as; the contenders take turns on each window, in an
    order that is drawn: each finds the processor's cache as another left it."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    draw = np.random.default_rng(0)
    for start in starts:
        for name in draw.permutation(list(readers)).tolist():
            began = time.process_time()
            readers[name](start)
            seconds[name].append(time.process_time() - began)
    return {name: WINDOW * TRACKS * 2 / statistics.median(times) / 1e9 for name, times in seconds.items()}


MEASURE = """
import sys
import numpy as np
from megabase.store.rows import Rows
rows = Rows.open(__import__("pathlib").Path(sys.argv[1]))
buffer = np.ones(rows.shape, np.uint16)
rows.begin(buffer[:1000], 0)[0].result()
kept = lambda name: next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024
before = kept("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
for piece in rows.begin(buffer, 0):
    piece.result()
print(kept("VmHWM") - before)
"""


def memory(path: Path) -> tuple[str, float, str, str, float]:
    """What a read of 1 Mb takes beyond the caller's buffer, at its peak, in a process of its own."""
    made = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    size = LENGTH * TRACKS * 2 / 1e6
    extra = float(made.stdout) * 1024**2 / 1e6
    return ("memory_1_Mb", extra, "MB", "the caller's buffer", extra / size)


def chip_windows(folder: Path) -> tuple[float, Figures]:
    """Seconds per window of 1 Mb by 64 tracks of sums over 128 bp under any shift: from 16-bp means, and from single
    bases, averaged on the fly."""
    values = np.stack([signal("chip", LENGTH + 2 * WINDOW, track) for track in range(TRACKS)], axis=1)
    dense = values.astype(ml_dtypes.bfloat16).view(np.uint16)
    means = values.reshape(-1, MEAN, TRACKS).mean(axis=1).astype(ml_dtypes.bfloat16).view(np.uint16)
    for name, bits in (("bases", dense), ("means", means)):
        stored(folder / name, bits, tried_codecs(bits, CHUNK)[0])
    bases, binned = Rows.open(folder / "bases"), Rows.open(folder / "means")
    at_once = open_array(folder / "bases")
    one, many = np.zeros((LENGTH, TRACKS), np.uint16), np.zeros((LENGTH // MEAN + 1, TRACKS), np.uint16)
    sums = np.zeros((LENGTH // 128, TRACKS), np.float32)

    def from_means(start: int) -> None:
        whole(binned, many, start // MEAN)
        binned_sums(many.view(ml_dtypes.bfloat16), start % MEAN, MEAN, 128, sums)

    def averaged(bits: np.ndarray) -> np.ndarray:
        return bits.view(ml_dtypes.bfloat16).astype(np.float32).reshape(-1, 128, TRACKS).mean(axis=1)

    def in_pieces(start: int) -> np.ndarray:
        whole(bases, one, start)
        return averaged(one)

    readers = {
        "16-bp means": from_means,
        "1-bp means on the fly": lambda start: averaged(at_once[start : start + LENGTH].read().result()),
        "the same, read in pieces": in_pieces,
    }
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for start in np.random.default_rng(1).integers(0, 2 * WINDOW, 9).tolist():
        for name, read in readers.items():
            began = time.process_time()
            read(start)
            seconds[name].append(time.process_time() - began)
    ours, *others = (statistics.median(times) for times in seconds.values())
    names = list(readers)[1:]
    return ours, [
        ("chip_windows", 1 / ours, "1/s", f"{name} at {1 / other:.2g}", other / ours)
        for name, other in zip(names, others, strict=True)
    ]


def contact_maps() -> float:
    """Seconds per window of 1 Mb of one contact map, from its band in memory."""
    band = next(bands(LENGTH + 2000, 1))
    seconds = []
    for _ in range(5):
        began = time.process_time()
        averaged_map(band, 500, 1000, LENGTH)
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def cores(speeds: dict[str, float], chip: float, maps: float) -> None:
    """What reading takes for a step that 512 TPU cores make."""
    signal_bytes = {kind: BATCH * LENGTH * 2 * tracks for kind, tracks in HUMAN.items()}
    needed = {kind: size / 1e9 / speeds[kind] for kind, size in signal_bytes.items()}
    needed |= {"chip": BATCH * chip * HUMAN_CHIP / TRACKS, "contact maps": BATCH * maps * HUMAN_MAPS}
    total = sum(needed.values()) / STEP_SECONDS
    print(json.dumps({"name": "cores_512_core_step", "value": round(total, 1), "unit": "cores"}))
    parts = ", ".join(f"{kind} {seconds / STEP_SECONDS:.0f}" for kind, seconds in needed.items())
    print(f"a step of {BATCH} x 1 Mb with all human tracks, {sum(signal_bytes.values()) / 1e9:.0f} GB of single bases,")
    print(f"every {STEP_SECONDS:.2f} s: {total:.0f} such cores ({parts}); the 64 hosts of 512 TPU cores have 6,144")


if __name__ == "__main__":
    main()
