"""Which bases a gene's predicted expression hangs on, and by that, which elements regulate it.

The gradient of the logarithm of the RNA-seq reads predicted over a gene's exons, with respect to the sequence around
the gene; an element's score is the mean size of that gradient around its middle, relative to that of the window
(evaluation reference V14).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float, Float32, UInt8

from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.genome.regions import Region
from megabase.model.network import AlphaGenome
from megabase.scoring.annotation import Annotation, Gene
from megabase.scoring.forward import Forward, one_hot
from megabase.scoring.genes import matching
from megabase.scoring.reading import Reader, Strand

logger = logging.getLogger(__name__)

ELEMENT_WINDOW = 2_400
"""Bases around the middle of an element that count (paper reference, section 9)."""
ELEMENT_DEVIATION = 300.0
"""Standard deviation, in bp, of their Gaussian weights (paper reference, section 9)."""
LEAST = 1e-6
"""Reads that are added before the logarithm, so that a silent gene has a gradient."""
PAIR_COLUMNS = ("chrom", "start", "end", "gene_id")
"""What a table of pairs must have: the element, 0-based half-open, and the gene by identifier or symbol."""
_NEWS_EVERY = 30.0


class Pair(NamedTuple):
    """An element and a gene."""

    region: Region
    gene_id: str


class Gradients:
    """A compiled program: the gradient of genes' expression in some RNA-seq tracks."""

    def __init__(
        self,
        forward: Forward,
        row: int,
        tables: Mapping[str, pd.DataFrame],
        chosen: Sequence[int],
        strands: Sequence[Strand],
    ) -> None:
        """`row`, `tables`: of the organism in the model. `chosen`: rows of its RNA_SEQ table. `strands`: which are read
        and averaged."""
        self._reader = Reader(forward, row, tables, strands)
        self._strands = tables["RNA_SEQ"]["strand"].to_numpy()
        self._chosen = np.zeros(len(self._strands), bool)
        self._chosen[list(chosen)] = True
        self._compiled = forward.compiled(self._slopes)

    def __call__(
        self, codes: UInt8[np.ndarray, " S"], exons: Bool[np.ndarray, " S"], strand: str
    ) -> Float32[np.ndarray, "S 4"]:
        """Of base codes (4: unknown); columns A, C, G, T. Tracks of the other strand than the gene's do not count.

        Raises InputError where none of the chosen tracks is of the gene's strand.
        """
        counting = self._chosen & matching([strand], self._strands)[0]
        if not counting.any():
            what = f"none of the chosen tracks is of strand {strand}"
            raise InputError(what, where="tracks", remedy="choose RNA_SEQ tracks of both strands, or without one")
        found: np.ndarray = jax.device_get(self._compiled(codes[None], exons[None], counting[None]))
        return found[0]

    def _slopes(self, model: AlphaGenome, codes: Array, exons: Array, counting: Array) -> Array:
        def expression(dna: Float32[Array, "N S 4"]) -> Float[Array, ""]:
            tracks = self._reader.of_dna(model, dna, {"RNA_SEQ"}).tracks["RNA_SEQ"]
            reads = jnp.einsum("ns,nst,nt->n", exons.astype(tracks.dtype), tracks, counting.astype(tracks.dtype))
            # Sequences do not see each other: the gradient of the sum is each one's own.
            return jnp.sum(jnp.log(reads + LEAST))

        return jax.grad(expression)(one_hot(codes))


def saliency(gradient: Float32[np.ndarray, "S 4"], codes: UInt8[np.ndarray, " S"]) -> Float32[np.ndarray, " S"]:
    """How much each base matters: the size of the gradient at the base that is there, against the mean of the four.

    What all four bases share says nothing: a sequence has exactly one of them at each position. The paper says "input
    gradient" and no more; this is the only place that decides it. 0 for an unknown base.
    """
    centred = gradient - gradient.mean(axis=1, keepdims=True)
    known = codes < 4
    own = np.take_along_axis(centred, np.where(known, codes, 0)[:, None].astype(np.int64), axis=1)[:, 0]
    return np.where(known, np.abs(own), 0.0).astype(np.float32)


def element_score(saliencies: Float32[np.ndarray, " S"], window: Region, element: Region) -> float:
    """Mean saliency around the middle of an element, with Gaussian weights, over the mean of the window; 0 for one
    whose middle is not in the window (evaluation reference V14)."""
    middle = (element.start + element.end) // 2
    if element.chrom != window.chrom or not window.start <= middle < window.end:
        return 0.0
    first = max(middle - ELEMENT_WINDOW // 2, window.start)
    last = min(middle + ELEMENT_WINDOW // 2, window.end)
    weights = np.exp(-0.5 * ((np.arange(first, last) - middle) / ELEMENT_DEVIATION) ** 2)
    around = saliencies[first - window.start : last - window.start]
    usual = float(saliencies.mean())
    return float(np.sum(weights * around) / np.sum(weights) / usual) if usual > 0 else 0.0


def read_pairs(path: Path) -> tuple[pd.DataFrame, list[Pair]]:
    """Pairs of elements and genes: a table with a header, separated by tabs, gzipped or not, as it is and as pairs.

    Raises InputError that names the file and the row for a missing column or an element that is none.
    """
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, comment="#", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=path, remedy="give a table separated by tabs") from None
    if missing := [name for name in PAIR_COLUMNS if name not in table]:
        remedy = f"have the columns {', '.join(PAIR_COLUMNS)}"
        raise InputError(f"no column {', '.join(missing)}", where=path, remedy=remedy)
    pairs = []
    for number, row in enumerate(table[list(PAIR_COLUMNS)].itertuples(index=False), 1):
        chrom, start, end, gene = row
        if not (start.isdecimal() and end.isdecimal() and int(start) < int(end)):
            what, remedy = f"`{start}` to `{end}` is no element", "give whole numbers, 0-based, start before end"
            raise InputError(what, where=f"{path} row {number}", remedy=remedy)
        pairs.append(Pair(Region(chrom, int(start), int(end)), gene))
    return table, pairs


def window_around(gene: Gene, chrom: str, length: int) -> Region:
    """The window with the middle of the gene in its middle (paper reference, section 9: centred on the gene)."""
    start = (gene.start + gene.end) // 2 - length // 2
    return Region(chrom, start, start + length)


def linked(
    pairs: Sequence[Pair], gradients: Gradients, reference: Reference, annotation: Annotation, length: int
) -> Iterator[tuple[Pair, float | None, str]]:
    """Each pair's score; or None and why there is none. One pass for each gene, whatever the number of its elements."""
    by_gene: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_gene.setdefault(pair.gene_id, []).append(pair)
    began = said = time.monotonic()
    for done, (name, own) in enumerate(by_gene.items(), 1):
        found = annotation.named(name)
        if found is None:
            yield from ((pair, None, f"no gene {name} in the annotation") for pair in own)
            continue
        chrom, gene = found
        window = window_around(gene, chrom, length)
        exons = next((mask for one, mask in annotation.starting(window) if one.id == gene.id), None)
        if exons is None:
            yield from ((pair, None, f"no transcript of {name} starts in its window") for pair in own)
            continue
        codes = reference.codes(*window)
        values = saliency(gradients(codes, exons, gene.strand), codes)
        yield from ((pair, element_score(values, window, pair.region), "") for pair in own)
        if time.monotonic() - said > _NEWS_EVERY:
            said = time.monotonic()
            left = (said - began) / done * (len(by_gene) - done)
            logger.info("%s of %s genes, %.0f s left", done, len(by_gene), left)
