"""Usage of splice sites: reads that use a site, of those that use or skip it (paper section 1.6, after SpliSER).

    usage = used / (used + skipped)

`used` are reads with a junction that ends at the site. `skipped` are reads that run contiguously across its boundary,
and reads with a junction that jumps over it from a partner of the site, that is from another end of one of its own
junctions. Junctions that use a partner without jumping over the site say nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

SITE = ["chrom", "position", "strand", "kind"]
"""A site: its exonic base (0-based), strand, and `donor` or `acceptor`."""
Boundaries = Mapping[str, Int64[np.ndarray, " boundaries"]]
"""By chromosome, ascending: the first base right of each place where an exon meets an intron."""


def boundaries(junctions: pd.DataFrame) -> dict[str, Int64[np.ndarray, " boundaries"]]:
    """The boundaries of all sites of a table of junctions."""
    return {
        str(chrom): np.unique(np.concatenate([rows["start"], rows["end"]]).astype(np.int64))
        for chrom, rows in junctions.groupby("chrom", sort=True)
    }


def sites(junctions: pd.DataFrame) -> pd.DataFrame:
    """The sites of a table of junctions, each once, sorted."""
    both = [_named(junctions, side)[SITE] for side in ("start", "end")]
    return pd.concat(both).drop_duplicates().sort_values(SITE, ignore_index=True)


def site_usage(
    junctions: pd.DataFrame, contiguous: Mapping[str, Float64[np.ndarray, " boundaries"]] | None = None
) -> pd.DataFrame:
    """`SITE`, `used`, `skipped` and `value` (0..1) of every site with any evidence, sorted.

    `junctions` has `PLACE` and `reads`. `contiguous` has the reads across each of `boundaries(junctions)`; without it
    (a junction table has no such reads) usage counts junctions against junctions.
    """
    counted = []
    across = _across(junctions, contiguous)
    for side, other in (("start", "end"), ("end", "start")):
        # Junctions of one partner, from the longest: those before a site's own jump over it.
        ordered = junctions.sort_values(["chrom", "strand", other, side], ascending=[True, True, True, side == "start"])
        running = ordered.groupby(["chrom", "strand", other])["reads"].cumsum()
        ordered = ordered.assign(jumped=running - ordered["reads"])
        summed = ordered.groupby(["chrom", "strand", side], as_index=False)[["reads", "jumped"]].sum()
        named = _named(summed, side)
        places = pd.MultiIndex.from_frame(named[["chrom", side]])
        named["skipped"] = named["jumped"] + across.reindex(places, fill_value=0.0).to_numpy()
        counted.append(named.rename(columns={"reads": "used"})[[*SITE, "used", "skipped"]])
    table = pd.concat(counted, ignore_index=True)
    evidence = table["used"] + table["skipped"]
    table["value"] = table["used"] / evidence.where(evidence > 0, 1.0)
    return table.loc[evidence > 0].sort_values(SITE, ignore_index=True)


def mean_usage(samples: list[pd.DataFrame]) -> pd.DataFrame:
    """`SITE` and `value`: the mean over the samples that show a site."""
    return pd.concat(samples).groupby(SITE, sort=True)[["value"]].mean().reset_index()


def _named(table: pd.DataFrame, side: str) -> pd.DataFrame:
    """`table` with the position and kind of the site at its intron's `start` or `end`."""
    donor = (table["strand"] == "+") == (side == "start")
    position = table["start"] - 1 if side == "start" else table["end"]
    return table.assign(position=position.astype(np.int64), kind=donor.map({True: "donor", False: "acceptor"}))


def _across(junctions: pd.DataFrame, contiguous: Mapping[str, Float64[np.ndarray, " boundaries"]] | None) -> pd.Series:
    """Contiguous reads by chromosome and boundary."""
    found = boundaries(junctions) if contiguous is not None else {}
    pieces = [
        pd.Series(contiguous[chrom], pd.MultiIndex.from_product([[chrom], list(edges)]), dtype=np.float64)
        for chrom, edges in found.items()
        if contiguous is not None
    ]
    empty = pd.Series(dtype=np.float64, index=pd.MultiIndex.from_arrays([[], []]))
    return pd.concat(pieces) if pieces else empty
