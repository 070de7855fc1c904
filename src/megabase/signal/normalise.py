"""Source files of one track, scaled and averaged as the paper does for each assay (paper section 1.5)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
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
from megabase.signal.intervals import Intervals

Row = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Genome:
    """The assembly that files are read against."""

    assembly: str
    sizes: Mapping[str, int]
    aliases: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Scaled:
    """One track, ready to be read chromosome by chromosome."""

    files: Sequence[tuple[BaseSignal, float]]
    """Source files and the factor of each, the mean over replicates included."""
    place: Place

    def values(self, chrom: str) -> Float64[np.ndarray, " S"]:
        """float64 normalised values; 0 outside what the files cover."""
        total = self.place.blank(chrom)
        for file, factor in self.files:
            total += factor * file.values(chrom)
        return _within(total, self.place, chrom)

    @property
    def scale(self) -> list[float]:
        """The factors, file by file."""
        return [factor for _, factor in self.files]


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


def scaled_track(rows: Sequence[Row], genome: Genome, config: SignalConfig) -> Scaled:
    """The files of one track with their factors.

    RNA_SEQ: each file, both strands together, to `config.total`, then the mean. CAGE, PROCAP: each file to the total,
    then the mean. DNASE, ATAC: the mean, then to the total. ChIP: the mean of fold changes as they are.
    Raises InputError for any file that cannot be read as its row says, and for one without signal.
    """
    bundle = BUNDLES[rows[0]["bundle"]]
    covered = covered_regions(rows, genome.sizes)
    places = [_place(row["path"], covered, genome, config) for row in rows]
    files = [_opened(row, place, config) for row, place in zip(rows, places, strict=True)]
    share = 1.0 / len(files)
    if bundle.total is None:
        return Scaled([(file, share) for file in files], places[0])
    sums = [_total(file, place) for file, place in zip(files, places, strict=True)]
    if bundle.name == "RNA_SEQ":
        sums = [total + _other_strand(row, place, config) for row, place, total in zip(rows, places, sums, strict=True)]
    if bundle.name in ("DNASE", "ATAC"):
        sums = [sum(sums) * share] * len(sums)
    for row, total in zip(rows, sums, strict=True):
        if total <= 0:
            raise InputError("no signal on these chromosomes", where=row["path"], remedy="check the row's columns")
    return Scaled([(file, share * config.total / total) for file, total in zip(files, sums, strict=True)], places[0])


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


def _opened(row: Row, place: Place, config: SignalConfig) -> BaseSignal:
    signal = _file(row, Path(row["path"]), place, config, row["strand"])
    if not row["control_path"]:
        return signal
    control_place = dataclasses.replace(place, where=row["control_path"])
    return FoldChange(signal, _file(row, Path(row["control_path"]), control_place, config, row["strand"]), place)


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


def _other_strand(row: Row, place: Place, config: SignalConfig) -> float:
    """Sum of what belongs to the same experiment on the other strand: a paired file, or the rest of a stranded one."""
    other = {"+": "-", "-": "+"}.get(row["strand"])
    if row["pair_path"]:
        paired = dataclasses.replace(place, where=row["pair_path"])
        return _total(_file(row, Path(row["pair_path"]), paired, config, other or "."), paired)
    if other and row["format"] != "bigWig":
        return _total(_file(row, Path(row["path"]), place, config, other), place)
    return 0.0


def _place(path: str, covered: tuple[Region, ...] | None, genome: Genome, config: SignalConfig) -> Place:
    return Place(path, genome.sizes, genome.aliases, covered, config.length_tolerance)


def _total(file: BaseSignal, place: Place) -> float:
    return float(sum(_within(file.values(chrom), place, chrom).sum() for chrom in place.expected))


def _within(values: Float64[np.ndarray, " S"], place: Place, chrom: str) -> Float64[np.ndarray, " S"]:
    if place.covered is None:
        return values
    kept = place.blank(chrom)
    for start, end in place.inside(chrom):
        kept[start:end] = values[start:end]
    return kept
