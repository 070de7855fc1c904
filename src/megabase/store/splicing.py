"""Splicing of a window: which bases are sites, how much each is used, and how often each pair is joined.

Positions are exonic: a donor is the last base of its exon, an acceptor the first of the next one (paper section 1.6).
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int, Int32

from megabase.artifacts import Location
from megabase.store.layout import read_table

KINDS = 4
"""Rows of a table of positions: donor +, acceptor +, donor -, acceptor - (architecture reference 6.6)."""
NOT_A_SITE = 4
"""The class of all other bases."""
_OTHER_STRAND = np.array([2, 3, 0, 1])


class SpliceWindow(NamedTuple):
    """Splicing targets of S bp; n conditions, all of the plus strand and then all of the minus strand."""

    classes: Bool[np.ndarray, "S 5"]
    """The four kinds of sites, and none. A base that is a site of two kinds has both."""
    usage: Float32[np.ndarray, "S 2*n"]
    """Share of transcripts that use a base as a site: 0 to 1, 0 where there is none."""
    positions: Int32[np.ndarray, "4 K"]
    """Sites by kind in ascending order, bp from the window's start; then -1."""
    junctions: Float32[np.ndarray, "K K 2*n"]
    """Normalised reads from each donor to each acceptor of `positions`; 0 beyond them."""


@dataclasses.dataclass(frozen=True)
class _Chromosome:
    """One chromosome's tables, each sorted by its first column. Columns of strands count from 0 to 2 n."""

    sites: Int[np.ndarray, " sites"]
    kinds: Int[np.ndarray, " sites"]
    used: Int[np.ndarray, " uses"]
    used_columns: Int[np.ndarray, " uses"]
    shares: Float32[np.ndarray, " uses"]
    left: Int[np.ndarray, " junctions"]
    """The exonic base left of an intron ..."""
    right: Int[np.ndarray, " junctions"]
    """... and the one right of it."""
    joined_columns: Int[np.ndarray, " junctions"]
    counts: Float32[np.ndarray, " junctions"]


class Splicing:
    """The splicing tables in a folder: `sites`, `usage` and `junctions.parquet`, read when first needed."""

    def __init__(self, folder: Location, conditions: int) -> None:
        self._folder, self.conditions = folder, conditions

    def window(self, chrom: str, start: int, length: int, sites: int, *, turned: bool = False) -> SpliceWindow:
        """Targets of [start, start + length), with up to `sites` sites of each kind; with `turned`, as the other
        strand reads them. `length` is even.

        Where a kind has more sites, positions and junctions are those of a narrower part around the middle: the widest
        in which no kind has more (paper section 1.6). Classes and usage are always of the whole window.
        """
        n = self.conditions
        classes = np.zeros((length, KINDS + 1), bool)
        classes[:, NOT_A_SITE] = True
        usage = np.zeros((length, 2 * n), np.float32)
        positions = np.full((KINDS, sites), -1, np.int32)
        junctions = np.zeros((sites, sites, 2 * n), np.float32)
        own = self._chromosomes.get(chrom)
        if own is None:
            return SpliceWindow(classes, usage, positions, junctions)

        def seen(places: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
            return length - 1 - (places - start) if turned else places - start

        inside = _between(own.sites, start, start + length)
        at, kinds = seen(own.sites[inside]), own.kinds[inside]
        kinds = _OTHER_STRAND[kinds] if turned else kinds
        classes[at, NOT_A_SITE] = False
        classes[at, kinds] = True

        inside = _between(own.used, start, start + length)
        usage[seen(own.used[inside]), self._columns(own.used_columns[inside], turned)] = own.shares[inside]

        by_kind = [np.sort(at[kinds == kind]) for kind in range(KINDS)]
        reach = _reach(by_kind, length, sites)
        middle = length // 2
        by_kind = [row[_between(row, middle - reach, middle + reach)] for row in by_kind]
        for row, kept in zip(positions, by_kind, strict=True):
            row[: len(kept)] = kept

        inside = _between(own.left, start + middle - reach, start + middle + reach)
        ends = np.sort([seen(own.left[inside]), seen(own.right[inside])], axis=0)
        columns = self._columns(own.joined_columns[inside], turned)
        minus = columns >= n
        # Transcripts of the minus strand meet the higher end first.
        donors, acceptors = np.where(minus, ends[::-1], ends)
        for strand in (False, True):
            rows = np.flatnonzero(minus == strand)
            row, known = _index(by_kind[2 * strand], donors[rows])
            column, also = _index(by_kind[2 * strand + 1], acceptors[rows])
            both = known & also
            rows = rows[both]
            junctions[row[both], column[both], columns[rows]] = own.counts[inside][rows]
        return SpliceWindow(classes, usage, positions, junctions)

    def _columns(self, columns: Int[np.ndarray, " rows"], turned: bool) -> Int[np.ndarray, " rows"]:
        return (columns + self.conditions) % (2 * self.conditions) if turned else columns

    @cached_property
    def _chromosomes(self) -> dict[str, _Chromosome]:
        sites, usage, junctions = (read_table(self._folder, name) for name in ("sites", "usage", "junctions"))
        sites = sites.assign(minus=sites["strand"] == "-").sort_values(["chrom", "position"])
        sites["kind"] = 2 * sites["minus"] + (sites["kind"] == "acceptor")
        usage = usage.merge(sites[["site_id", "chrom", "position", "minus"]], on="site_id")
        # Of a base that is donor and acceptor the larger share is kept: the last one assigned.
        usage = usage.sort_values(["chrom", "position", "value"])
        junctions = junctions.sort_values(["chrom", "start"])
        tables = [dict(iter(table.groupby("chrom", sort=False))) for table in (sites, usage, junctions)]
        empty = [table.iloc[:0] for table in (sites, usage, junctions)]
        return {
            str(chrom): self._chromosome(*(table.get(chrom, none) for table, none in zip(tables, empty, strict=True)))
            for chrom in tables[0]
        }

    def _chromosome(self, sites: pd.DataFrame, usage: pd.DataFrame, junctions: pd.DataFrame) -> _Chromosome:
        n = self.conditions
        return _Chromosome(
            sites["position"].to_numpy(np.int64),
            sites["kind"].to_numpy(np.int64),
            usage["position"].to_numpy(np.int64),
            usage["track"].to_numpy(np.int64) + n * usage["minus"].to_numpy(np.int64),
            usage["value"].to_numpy(np.float32),
            junctions["start"].to_numpy(np.int64) - 1,
            junctions["end"].to_numpy(np.int64),
            junctions["track"].to_numpy(np.int64) + n * (junctions["strand"] == "-").to_numpy(np.int64),
            junctions["count"].to_numpy(np.float32),
        )


def _between(places: Int[np.ndarray, " rows"], start: int, end: int) -> slice:
    """The rows in [start, end) of sorted places."""
    return slice(*np.searchsorted(places, (start, end)))


def _reach(by_kind: list[Int[np.ndarray, " sites"]], length: int, most: int) -> int:
    """How far from the middle, either way, no kind has more than `most` sites; at most half of the window."""
    middle = length // 2
    reach = middle
    for places in by_kind:
        if len(places) > most:
            # Distances of the two halves count alike, so that the other strand's window is narrowed the same.
            away = np.where(places < middle, middle - places, places - middle + 1)
            reach = min(reach, int(np.partition(away, most)[most]) - 1)
    return reach


def _index(
    places: Int[np.ndarray, " sites"], wanted: Int[np.ndarray, " rows"]
) -> tuple[Int[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """Where each wanted place stands among sorted ones, and whether it does."""
    if not len(places):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    found = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
    return found, places[found] == wanted
