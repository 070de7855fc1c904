"""Source files of one track, scaled and averaged as the paper does for each assay (paper section 1.5)."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.genome.regions import Region, parse_region
from megabase.signal.alignments import Alignments
from megabase.signal.bigwig import BigWig
from megabase.signal.config import SignalConfig
from megabase.signal.coverage import BaseSignal, Place
from megabase.signal.files import ROLES, Opened, Row
from megabase.signal.intervals import Intervals


@dataclasses.dataclass(frozen=True)
class Genome:
    """The assembly that files are read against."""

    assembly: str
    sizes: Mapping[str, int]
    aliases: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Scaled:
    """One track, ready to be read chromosome by chromosome."""

    read: Callable[[str], Float64[np.ndarray, " S"]]
    """The normalised values of a chromosome, where the files cover it and elsewhere."""
    place: Place
    scale: list[float]
    """The factors, file by file, the mean over replicates included."""

    def values(self, chrom: str) -> Float64[np.ndarray, " S"]:
        """float64 normalised values; 0 outside what the files cover."""
        return _within(self.read(chrom), self.place, chrom)


def covered_regions(rows: Sequence[Row], sizes: Mapping[str, int]) -> tuple[Region, ...] | None:
    """Where all files of a track have data; None for everywhere.

    Raises InputError where replicates differ: an average over different places is no average.
    """
    texts = list(dict.fromkeys(row["covered"] for row in rows))
    if len(texts) > 1:
        where = rows[0]["path"]
        raise InputError("replicates differ in `covered`", where=where, remedy="give all files of the track the same")
    if not texts[0]:
        return None
    return tuple(parse_region(text, sizes, f"{rows[0]['path']}: covered") for text in texts[0].split(","))


@contextlib.contextmanager
def scaled_track(
    rows: Sequence[Row], genome: Genome, config: SignalConfig, opened: Opened, scratch: Path
) -> Iterator[Scaled]:
    """The normalised track of these files, to be read until the context ends.

    RNA_SEQ: each file, both strands together, to `config.total`, then the mean. CAGE, PROCAP: each file to the total,
    then the mean. DNASE, ATAC: the mean, then to the total. ChIP: the mean of fold changes as they are.
    Files are opened one after another, each once; of several the sum lies in `scratch` (float64 at every base).
    Raises InputError for any file that cannot be read as its row says, and for one without signal.
    """
    covered = covered_regions(rows, genome.sizes)
    places = [Place(row["path"], genome.sizes, genome.aliases, covered, config.length_tolerance) for row in rows]
    if len(rows) == 1:
        with _measured(rows[0], places[0], config, opened) as (file, total):
            factor = _factor(rows[0], total, config)
            yield Scaled(lambda chrom: factor * file.values(chrom), places[0], [factor])
        return
    share, pooled = 1.0 / len(rows), rows[0]["bundle"] in ("DNASE", "ATAC")
    with tempfile.TemporaryDirectory(prefix=".sum.", dir=scratch) as folder:
        sums = {
            chrom: np.lib.format.open_memmap(f"{folder}/{number}.npy", "w+", np.float64, (size,))
            for number, (chrom, size) in enumerate(genome.sizes.items())
        }
        totals = []
        for row, place in zip(rows, places, strict=True):
            with _measured(row, place, config, opened) as (file, total):
                factor = 1.0 if pooled else share * _factor(row, total, config)
                for chrom, summed in sums.items():
                    summed += factor * file.values(chrom)
                totals.append(total)
        one = config.total / sum(totals) if pooled else 1.0
        scale = [one if pooled else share * _factor(rows[0], total, config) for total in totals]
        yield Scaled(lambda chrom: one * np.asarray(sums[chrom]), places[0], scale)


@contextlib.contextmanager
def _measured(row: Row, place: Place, config: SignalConfig, opened: Opened) -> Iterator[tuple[BaseSignal, float]]:
    """One file, open, and the sum of its experiment; 0 where the output type is not scaled to a total.

    Raises InputError for a file without signal.
    """
    bundle = BUNDLES[row["bundle"]]
    with contextlib.ExitStack() as stack:
        paths = {prefix: stack.enter_context(opened(row, prefix)) for prefix in ROLES if row[f"{prefix}path"]}
        file = _file(row, paths[""], place, config, row["strand"])
        if "control_" in paths:
            control_place = dataclasses.replace(place, where=row["control_path"])
            control = _file(row, paths["control_"], control_place, config, row["strand"])
            file = FoldChange(file, control, place)
        total = 0.0
        if bundle.total is not None:
            total = _total(file, place)
            if bundle.name == "RNA_SEQ":
                total += _other_strand(row, paths, place, config)
            if total <= 0:
                raise InputError("no signal on these chromosomes", where=row["path"], remedy="check the row's columns")
        yield file, total


def _factor(row: Row, total: float, config: SignalConfig) -> float:
    return 1.0 if BUNDLES[row["bundle"]].total is None else config.total / total


class FoldChange:
    """A file over its control, both to the same total; the control counts at least its genome-wide mean.

    The floor is MACS's background rate: where the control is empty the ratio is taken against the average instead.
    """

    def __init__(self, treated: BaseSignal, control: BaseSignal, place: Place) -> None:
        self._treated, self._control = treated, control
        bases = sum(end - start for chrom in place.expected for start, end in place.inside(chrom))
        total = _total(control, place)
        if total <= 0:
            raise InputError("control without signal", where=place.where, remedy="choose another control")
        self._floor = total / bases
        self._factor = total / max(_total(treated, place), 1e-300)

    def values(self, chrom: str) -> Float64[np.ndarray, " S"]:
        """float64 fold change at every base."""
        return self._factor * self._treated.values(chrom) / np.maximum(self._control.values(chrom), self._floor)


def _file(row: Row, path: Path, place: Place, config: SignalConfig, strand: str) -> BaseSignal:
    readers: dict[str, Callable[[], BaseSignal]] = {
        "bigWig": lambda: BigWig(path, place, negated=row["sign"] == "negative"),
        "BAM": lambda: Alignments(
            path,
            place,
            config,
            reading=row["reading"],
            strand=strand,
            library=row["library"],
            shift=config.atac_shift if row["bundle"] == "ATAC" else config.dnase_shift,
        ),
    }
    table: Callable[[], BaseSignal] = lambda: Intervals(path, place, reading=row["reading"], strand=strand)  # noqa: E731
    return readers.get(row["format"], table)()


def _other_strand(row: Row, paths: Mapping[str, Path], place: Place, config: SignalConfig) -> float:
    """Sum of what belongs to the same experiment on the other strand: a paired file, or the rest of a stranded one."""
    other = {"+": "-", "-": "+"}.get(row["strand"])
    if "pair_" in paths:
        paired = dataclasses.replace(place, where=row["pair_path"])
        return _total(_file(row, paths["pair_"], paired, config, other or "."), paired)
    if other and row["format"] != "bigWig":
        return _total(_file(row, paths[""], place, config, other), place)
    return 0.0


def _total(file: BaseSignal, place: Place) -> float:
    return float(sum(_within(file.values(chrom), place, chrom).sum() for chrom in place.expected))


def _within(values: Float64[np.ndarray, " S"], place: Place, chrom: str) -> Float64[np.ndarray, " S"]:
    if place.covered is None:
        return values
    kept = place.blank(chrom)
    for start, end in place.inside(chrom):
        kept[start:end] = values[start:end]
    return kept
