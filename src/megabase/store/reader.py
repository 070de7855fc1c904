"""Reads windows: sequence, targets and masks at any shift, on either strand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Int, Int32, Shaped, UInt8

from megabase.artifacts import Location, digest, location
from megabase.bundles import BUNDLES, Bundle
from megabase.errors import InputError
from megabase.genome.regions import Region
from megabase.genome.sequence import UNKNOWN, reverse_complement
from megabase.store.binning import PAIR_BIN, averaged_map, binned_sums
from megabase.store.genes import Genes
from megabase.store.layout import (
    ANNOTATION,
    GAP,
    MASKS,
    SEQUENCE,
    SPLICING,
    USABLE,
    bits,
    block_path,
    found_contents,
)
from megabase.store.rows import Rows
from megabase.store.splicing import Splicing

COPIED = "windows"
"""Group of the windows' own values, in shards of layout `copy`."""
GENES = "genes"
"""Name of the exons of genes among the masks."""
JUNCTION_SITES = 512
"""Most sites of each kind that junctions are read between (paper section 1.6)."""


@dataclasses.dataclass(frozen=True)
class Example:
    """One window of S bp. T is the number of tracks of a bundle."""

    sequence: UInt8[np.ndarray, " S"]
    """Base codes; 4 for unknown and beyond the chromosome's ends."""
    targets: dict[str, Float[np.ndarray, "*positions T"]]
    """By head. 1-bp bundles: bfloat16 [S, T]. ChIP: float32 [S/128, T], sums over 128 bp. Contact maps: float32
    [S/2048, S/2048, T], NaN where missing. Splice sites: bool [S, 5]. Usage: float32 [S, T], the plus strand's half
    first. Junctions: float32 [K, K, 2 T], donors by acceptors of `splice_site_positions`, likewise."""
    masks: dict[str, Bool[np.ndarray, "positions *_ T_or_1"]]
    """By head: which values are known. Contact maps: which bins [S/2048, T or 1]. Junctions: [1, 1, 1]. And `genes`:
    exons of up to G genes by strand [S, 2, G], where they were asked for."""
    splice_site_positions: Int32[np.ndarray, "4 K"] | None = None
    """Sites by kind (donor +, acceptor +, donor -, acceptor -) in ascending order, then -1; None where the store has no
    splicing or junctions were not asked for."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """One array of the store, of every chromosome: rows of `bin` bp."""

    path: str
    bin: int
    beyond: float
    """Value of rows outside the chromosome."""
    codec: str = "zstd-3"


@dataclasses.dataclass(frozen=True)
class _Bundle:
    """The tracks of one bundle."""

    bundle: Bundle
    stored: list[Stored]
    """Blocks side by side, or contact maps one by one."""
    widths: list[int]
    """Tracks of each."""
    coverages: list[list[tuple[str, int, int]] | None]
    """The different places in which tracks have data (None: everywhere) ..."""
    coverage: Int[np.ndarray, " T"]
    """... and which of them each track has."""
    order: Int[np.ndarray, " T"]
    """The tracks as the other strand sees them."""
    unpaired: Bool[np.ndarray, " T"]
    """Tracks of one strand whose other strand is not there."""

    @property
    def masked_by_track(self) -> bool:
        return self.coverages != [None] or bool(self.unpaired.any())


class Shards:
    """The windows of one split, opened."""

    def __init__(self, path: Location, described: Mapping[str, Any]) -> None:
        """`path` is where the shards are, or will be, and `described` their attributes."""
        self.path, self._described = path, described
        self._store = None if described["store"] is None else path / described["store"]
        self.organism: str = described["organism"]
        self.organism_index: int = described["organism_index"]
        self.window_length: int = described["window"]
        self.max_shift: int = described["max_shift"]
        self.assembly: str = described["assembly"]
        self.split_hash: str = described["split_hash"]
        """Names the division into splits: equal for all splits of one fold."""
        self.store_digest: str = described["store_digest"]
        """Changes with any value, mask, mean or table of the store."""
        self.held_out: bool = described["held_out"]
        """Whether the other splits of this fold were kept from the training split."""
        self._values = path / COPIED if self._store is None else self._store
        self._genes = Genes(self._values / ANNOTATION)
        spliced = described["splicing"]
        self.splicing = Splicing(self._values / SPLICING, len(spliced["conditions"])) if spliced else None
        """The splicing tables; None where the store has none."""
        self.windows = pd.DataFrame(described["windows"], columns=list(_PLACE))
        """chrom, start, end: 0-based, half-open; a window may reach beyond its chromosome."""
        self._places = [Region(*place) for place in zip(*(described["windows"][k] for k in _PLACE), strict=True)]
        self._sizes: Mapping[str, int] = described["sizes"]
        # Windows that hold these, and where they start: themselves, or what they are pieces of.
        self._wholes = [(i, place.start) for i, place in enumerate(self._places)]
        self._kept: dict[str, Int[np.ndarray, " T"]] | None = None
        self._arrays: dict[tuple[str, str], Rows] = {}

    @staticmethod
    def open(path: str | Location) -> Shards:
        """The shards in a folder, or at a `gs://` or `s3://` URL. Raises InputError where there are none, and where the
        store they point into is gone or no longer the one they were cut from."""
        path = location(path)
        try:
            shards = Shards(path, json.loads((path / "zarr.json").read_text())["attributes"])
        except FileNotFoundError:
            raise InputError("no shards here", where=path, remedy="write them: snakemake store") from None
        except (ValueError, KeyError) as error:
            what = f"not shards: {' '.join(str(error).split())}"
            raise InputError(what, where=path, remedy="remove the folder and run snakemake store") from None
        if shards._store is not None:
            if not (shards._store / "zarr.json").exists():
                what = f"its store {shards._store.resolve()} is absent"
                raise InputError(what, where=path, remedy="write it: snakemake store")
            blocks = [block_path(block["bundle"], block["block"]) for block in shards._described["blocks"]]
            groups = [SEQUENCE, MASKS, ANNOTATION, *blocks, *([SPLICING] if shards.splicing else [])]
            if digest(found_contents(shards._store, groups)) != shards.store_digest:
                what = f"its store {shards._store.resolve()} has changed since"
                raise InputError(what, where=path, remedy="write both again: snakemake store")
        return shards

    def cut(self, pieces: int, length: int | None = None) -> Shards:
        """The same with every window cut into so many windows, side by side in its middle, of `length` bp; without it
        they fill the window.

        Raises InputError where they do not fit, or would not be whole bins of contact maps.
        """
        length = length or self.window_length // pieces
        margin = self.window_length - pieces * length
        if margin < 0 or length % PAIR_BIN:
            what = f"windows of {self.window_length:,} bp do not give {pieces} pieces of a multiple of {PAIR_BIN:,} bp"
            raise InputError(what, where=self.path, remedy="choose fewer pieces, or shorter ones")
        places = [
            (place.chrom, start, start + length)
            for place in self._places
            for start in range(place.start + margin // 2, place.start + margin // 2 + pieces * length, length)
        ]
        windows = dict(zip(_PLACE, zip(*places, strict=True), strict=True)) if places else dict.fromkeys(_PLACE, ())
        described = {**self._described, "window": length}
        made = Shards(self.path, described | {"windows": {key: list(values) for key, values in windows.items()}})
        made._wholes = [(i // pieces, self._wholes[i // pieces][1]) for i in range(len(places))]
        made.organism_index, made._kept = self.organism_index, self._kept
        return made

    def of_biosamples(self, only: Collection[str] = (), without: Collection[str] = ()) -> Shards:
        """The same with the tracks of these ontology terms alone, or all but them; `only` leaves out what belongs to no
        biosample. Raises InputError for a term that no track has."""
        named = {str(term) for table in self._all_tracks.values() for term in table.get("ontology_curie", ())}
        if unknown := sorted({*only, *without} - named):
            remedy = f"choose from {', '.join(sorted(named))}"
            raise InputError(f"no track of {', '.join(unknown)}", where=self.path, remedy=remedy)
        made = Shards(self.path, self._described)
        made.organism_index, made._wholes = self.organism_index, self._wholes
        made._kept = {}
        for bundle, table in self._all_tracks.items():
            terms = table["ontology_curie"] if "ontology_curie" in table else pd.Series("", table.index)
            made._kept[bundle] = np.flatnonzero(terms.isin(only) if only else ~terms.isin(without))
        return made

    @cached_property
    def tracks(self) -> dict[str, pd.DataFrame]:
        """By bundle, one row per track in order: index, track, strand, track_id, nonzero_mean, metadata. Those of the
        splicing bundles have what their record says of them. Splice-site usage: the plus strand, then the minus strand;
        junctions: one row for both."""
        if self._kept is None:
            return self._all_tracks
        kept = {bundle: table.iloc[self._kept[bundle]] for bundle, table in self._all_tracks.items()}
        return {bundle: table.reset_index(drop=True) for bundle, table in kept.items() if len(table)}

    @cached_property
    def _all_tracks(self) -> dict[str, pd.DataFrame]:
        rows: dict[str, list[dict[str, Any]]] = {}
        for block in self._described["blocks"]:
            rows.setdefault(block["bundle"], []).extend(block["tracks"])
        if self.splicing:
            named = self._described["splicing"]["bundles"]
            for bundle, tracks in ((bundle, named[bundle]) for bundle in BUNDLES if bundle in named):
                rows[bundle] = [{"index": index, "covered": None} | track for index, track in enumerate(tracks)]
        return {bundle: pd.DataFrame(tracks) for bundle, tracks in rows.items()}

    @property
    def conditions(self) -> list[dict[str, Any]]:
        """The tissues of the splicing tables, in the order of their columns: track, biosample, ontology_curie, ..."""
        every = self._described["splicing"]["conditions"] if self.splicing else []
        kept = range(len(every)) if self._kept is None else self._kept.get("SPLICE_JUNCTIONS", ())
        return [every[i] for i in kept]

    @property
    def stored(self) -> list[Stored]:
        """Every array that windows are read from."""
        return [_SEQUENCE, _MASKS, *(stored for own in self._bundles for stored in own.stored)]

    def masked_by_track(self, bundle: str) -> bool:
        """Whether masks of this bundle have a column per track: a property of the tracks, the same for all windows."""
        return any(own.masked_by_track for own in self._bundles if own.bundle.name == bundle)

    def __len__(self) -> int:
        return len(self.windows)

    def read(
        self,
        i: int,
        *,
        shift: int = 0,
        reverse_complement: bool = False,
        junction_sites: int = JUNCTION_SITES,
        gene_slots: int = 0,
        read_at: Mapping[str, int] | None = None,
    ) -> Example:
        """Window `i` moved by `shift` bp; with `reverse_complement`, as the other strand reads it.

        `junction_sites`: K, the most sites of each kind that junctions are given between; 0 leaves junctions out.
        `gene_slots`: G, the most genes of each strand whose exons are given; 0 leaves them out. `read_at`: resolution
        of a head's targets, in bp, if not that of its output type: a multiple of what is stored.
        Raises InputError for a shift beyond the shards' own `max_shift`.
        """
        if abs(shift) > self.max_shift:
            raise InputError(f"a shift of {shift} bp", where=self.path, remedy=f"stay within {self.max_shift}")
        start = self._places[i].start + shift
        usable = self._rows(_MASKS, i, start, self.window_length) == USABLE
        targets, masks = {}, {}
        for own in self._bundles:
            head = own.bundle.head
            if own.bundle.kind == "contact_maps":
                targets[head] = self._contacts(own, i, start)
                masks[head] = self._mask(own, i, start, usable, PAIR_BIN)
            elif own.bundle.store_bin == 1:
                targets[head] = self._bases(own, i, start)
                masks[head] = self._mask(own, i, start, usable, 1)
            else:
                resolution = (read_at or {}).get(head, own.bundle.resolutions[0])
                targets[head] = self._sums(own, i, start, resolution)
                masks[head] = self._mask(own, i, start, usable, resolution)
        example = Example(self._rows(_SEQUENCE, i, start, self.window_length), targets, masks)
        if reverse_complement:
            example, usable = self._reversed(example), usable[::-1]
        place = self._places[i].chrom, start, self.window_length
        if gene_slots:
            example.masks[GENES] = self._genes.masks(*place, gene_slots, turned=reverse_complement)
        if self.splicing is None:
            return self._chosen(example)
        spliced = self.splicing.window(*place, junction_sites, turned=reverse_complement)
        for bundle, target in (("SPLICE_SITES", spliced.classes), ("SPLICE_SITE_USAGE", spliced.usage)):
            example.targets[BUNDLES[bundle].head] = target
            example.masks[BUNDLES[bundle].head] = np.ascontiguousarray(usable[:, None])
        if not junction_sites:
            return self._chosen(example)
        head = BUNDLES["SPLICE_JUNCTIONS"].head
        example.targets[head], example.masks[head] = spliced.junctions, np.ones((1, 1, 1), bool)
        return self._chosen(dataclasses.replace(example, splice_site_positions=spliced.positions))

    def _chosen(self, example: Example) -> Example:
        """The tracks that are kept, where not all are."""
        for bundle, kept in (self._kept or {}).items():
            head, every = BUNDLES[bundle].head, len(self._all_tracks[bundle])
            if head not in example.targets or len(kept) == every:
                continue
            target, mask = example.targets.pop(head), example.masks.pop(head)
            if not len(kept):
                continue
            columns = np.concatenate([kept, every + kept]) if bundle == "SPLICE_JUNCTIONS" else kept
            example.targets[head] = _reordered(target, columns)
            example.masks[head] = mask[..., columns] if mask.shape[-1] > 1 else mask
        return example

    def margins(self, stored: Stored, i: int) -> Shaped[np.ndarray, "rows *rest"]:
        """All rows of an array that window `i` may need at any shift; as many for every window."""
        first = self._first_row(stored, i)
        rows = (self.window_length + 2 * self.max_shift) // stored.bin + 2
        return self._rows(stored, i, first * stored.bin, rows * stored.bin)

    @cached_property
    def _bundles(self) -> list[_Bundle]:
        bundles = []
        for name, table in self._all_tracks.items():
            if BUNDLES[name].kind == "splicing":
                continue
            bundle, stored, widths = BUNDLES[name], [], []
            for block in self._described["blocks"]:
                if block["bundle"] != name:
                    continue
                path = block_path(name, block["block"])
                if bundle.kind == "contact_maps":
                    stored += [
                        Stored(f"{path}/{track['track_id']}", track["bin"], np.nan, block["codec"])
                        for track in block["tracks"]
                    ]
                    widths += [1] * len(block["tracks"])
                else:
                    stored.append(Stored(path, bundle.store_bin, 0, block["codec"]))
                    widths.append(len(block["tracks"]))
            covered = [None if places is None else [tuple(place) for place in places] for places in table["covered"]]
            coverages: list[Any] = []
            coverages += [places for k, places in enumerate(covered) if places not in covered[:k]]
            coverage = np.array([coverages.index(places) for places in covered])
            order = strand_order(table)
            unpaired = (table["strand"] != ".").to_numpy() & (order == np.arange(len(order)))
            bundles.append(_Bundle(bundle, stored, widths, coverages, coverage, order, unpaired))
        return bundles

    def _first_row(self, stored: Stored, i: int) -> int:
        return (self._wholes[i][1] - self.max_shift) // stored.bin

    def _rows(self, stored: Stored, i: int, start: int, length: int) -> Shaped[np.ndarray, "rows *rest"]:
        """The rows that hold [start, start + length), in bp of the window's chromosome."""
        rows = self._opened(stored, i)
        first, last = start // stored.bin, -(-(start + length) // stored.bin)
        values = np.full((last - first, *rows.shape[1:]), stored.beyond, rows.dtype)
        _finish(self._begin(values, stored, i, first))
        return values

    def _begin(self, values: np.ndarray, stored: Stored, i: int, first: int) -> list[Any]:
        """Begins to read the rows from `first` on that the array has; the others keep their value."""
        rows = self._opened(stored, i)
        offset = self._first_row(stored, i) if self._store is None else 0
        start = max(first - offset, 0)
        stop = max(min(first - offset + len(values), rows.shape[0]), start)
        return rows.begin(values[start + offset - first : stop + offset - first], start)

    def _opened(self, stored: Stored, i: int) -> Rows:
        """The array that holds window `i`. Opened once."""
        chrom = "" if self._store is None else self._places[i].chrom
        if (stored.path, chrom) not in self._arrays:
            self._arrays[stored.path, chrom] = Rows.open(self._values / stored.path / chrom)
        rows = self._arrays[stored.path, chrom]
        return rows.of_window(self._wholes[i][0]) if self._store is None else rows

    def _bases(self, own: _Bundle, i: int, start: int) -> Shaped[np.ndarray, "S T"]:
        """bfloat16."""
        values = np.zeros((self.window_length, sum(own.widths)), np.uint16)
        begun, column = [], 0
        for stored, width in zip(own.stored, own.widths, strict=True):
            # All blocks at once: as many cores as there are unpack them.
            begun += self._begin(values[:, column : column + width], stored, i, start)
            column += width
        _finish(begun)
        return values.view(ml_dtypes.bfloat16)

    def _sums(self, own: _Bundle, i: int, start: int, resolution: int) -> Float32[np.ndarray, "bins T"]:
        """Sums over bins of `resolution` bp."""
        width = own.bundle.store_bin
        sums = np.empty((self.window_length // resolution, sum(own.widths)), np.float32)
        column = 0
        for stored, tracks in zip(own.stored, own.widths, strict=True):
            means = self._rows(stored, i, start, self.window_length).view(ml_dtypes.bfloat16)
            binned_sums(means, start % width, width, resolution, sums[:, column : column + tracks])
            column += tracks
        return sums

    def _contacts(self, own: _Bundle, i: int, start: int) -> Float32[np.ndarray, "bins bins T"]:
        """Area-weighted means over 2,048-bp bins aligned with the window; NaN where any source bin is missing."""
        maps = [
            averaged_map(
                self._rows(stored, i, start, self.window_length), start % stored.bin, stored.bin, self.window_length
            )
            for stored in own.stored
        ]
        return np.stack(maps, axis=-1)

    def _mask(
        self, own: _Bundle, i: int, start: int, usable: Bool[np.ndarray, " S"], resolution: int
    ) -> Bool[np.ndarray, "bins T_or_1"]:
        """A bin is known where a track has data at every base of it, and at least half of it is usable."""
        chrom = self._places[i].chrom
        known = np.zeros((len(usable), len(own.coverages)), bool)
        for column, places in enumerate(own.coverages):
            for name, first, last in [(chrom, 0, self._sizes[chrom])] if places is None else places:
                if name == chrom:
                    known[max(first - start, 0) : max(last - start, 0), column] = True
        if resolution == 1:
            known &= usable[:, None]
        else:
            half = usable.reshape(-1, resolution).mean(axis=1) >= 0.5
            known = known.reshape(-1, resolution, known.shape[1]).all(axis=1) & half[:, None]
        return known[:, own.coverage] if own.masked_by_track else known

    def _reversed(self, example: Example) -> Example:
        targets, masks = {}, {}
        for own in self._bundles:
            target = _reordered(example.targets[own.bundle.head], own.order)[::-1]
            mask = example.masks[own.bundle.head][::-1]
            if own.bundle.kind == "contact_maps":
                target = target[:, ::-1]
            if own.masked_by_track:
                # What the other strand shows of a track without its partner was not measured.
                mask = mask[:, own.order] & ~own.unpaired
            if own.bundle.name == "DNASE":
                # A cut lies between two bases and is counted at the right one: the left one on the other strand
                # (architecture reference 8).
                target, mask = _moved_right(target), _moved_right(mask)
            targets[own.bundle.head], masks[own.bundle.head] = target, np.ascontiguousarray(mask)
        return Example(reverse_complement(example.sequence), targets, masks)


_PLACE = ("chrom", "start", "end")
_SEQUENCE = Stored(SEQUENCE, 1, UNKNOWN)
_MASKS = Stored(MASKS, 1, GAP)


def _finish(begun: list[Any]) -> None:
    for one in begun:
        one.result()


def strand_order(table: pd.DataFrame) -> Int[np.ndarray, " T"]:
    """Positions of the tracks as the other strand sees them: plus and minus of one name change places."""
    place = {(name, strand): i for i, (name, strand) in enumerate(zip(table["track"], table["strand"], strict=True))}
    other = {"+": "-", "-": "+", ".": "."}
    return np.array([place.get((name, other[strand]), i) for (name, strand), i in place.items()])


def _reordered(values: Shaped[np.ndarray, "*positions T"], order: Int[np.ndarray, " T"]) -> np.ndarray:
    """The tracks in another order, or some of them."""
    if np.array_equal(order, np.arange(values.shape[-1])):
        return values
    return np.take(bits(values), order, axis=-1).view(values.dtype)


def _moved_right(values: Shaped[np.ndarray, "S T"]) -> Shaped[np.ndarray, "S T"]:
    moved = np.empty(values.shape, values.dtype)
    moved[0] = 0
    bits(moved)[1:] = bits(values)[:-1]
    return moved
