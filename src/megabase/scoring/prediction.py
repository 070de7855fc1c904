"""Compiled programs that predict all output types of sequences, junctions among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float32, Int32, UInt8

from megabase.model.network import AlphaGenome
from megabase.model.splicing import THRESHOLD, likely_sites
from megabase.scoring.comparison import aligned_embeddings, shared_sites
from megabase.scoring.forward import Forward
from megabase.scoring.reading import Read, Reader, Strand
from megabase.scoring.sequences import aligned


class Predicted(NamedTuple):
    """Of several sequences (or pairs of alleles) or, without the axis N, of one; as the forward strand reads it."""

    tracks: dict[str, Float32[Any, "*N *positions T"]]
    """By bundle."""
    junctions: Float32[Any, "*N K K 2*T"] | None
    """Reads between the sites ..."""
    positions: Int32[Any, "*N 4 K"] | None
    """... at these positions."""

    def each(self) -> list[Predicted]:
        """Every sequence's own, on the host."""
        here = jax.device_get(self)
        count = len(jax.tree.leaves(here)[0])
        return [jax.tree.map(lambda x, i=i: x[i], here) for i in range(count)]


class Prediction:
    """What one organism's output types are for sequences."""

    def __init__(
        self,
        forward: Forward,
        row: int,
        tables: Mapping[str, pd.DataFrame],
        bundles: Collection[str],
        strands: Sequence[Strand],
    ) -> None:
        """`row`, `tables`: of the organism. `bundles`: what is predicted. `strands`: which are read and averaged."""
        self._reader, self._wanted = Reader(forward, row, tables, strands), frozenset(bundles)
        self._bundles = self._wanted | ({"SPLICE_SITES"} if "SPLICE_JUNCTIONS" in self._wanted else frozenset())
        self._sequences = forward.compiled(self._predict)
        self._both = forward.compiled(self._alleles)

    def sequences(self, codes: UInt8[np.ndarray, "N S"]) -> Predicted:
        """Of sequences; junctions between the sites that the model predicts in each."""
        predicted: Predicted = self._sequences(codes)
        return predicted

    def alleles(
        self,
        codes: UInt8[np.ndarray, "B 2 S"],
        last: Int32[np.ndarray, " B"],
        gain: Int32[np.ndarray, " B"],
        genes: Bool[np.ndarray, "B S"],
        annotated: Bool[np.ndarray, "B S 4"],
    ) -> Predicted:
        """Of REF and ALT of variants (axes B 2); junctions of both between the same sites, at REF's positions: those
        that either allele makes likely or that are annotated, within `genes`. `last`, `gain`: as
        `megabase.scoring.sequences.indel` gives them."""
        predicted: Predicted = self._both(codes, last, gain, genes, annotated)
        return predicted

    def _predict(self, model: AlphaGenome, codes: Array) -> Predicted:
        read = self._reader(model, codes, self._bundles)
        if read.fine is None:
            return Predicted(read.tracks, None, None)
        sites = model.config.network.junction_sites
        positions = likely_sites(read.tracks["SPLICE_SITES"], sites, threshold=THRESHOLD)
        return self._predicted(read, self._reader.junctions(model, read.fine, positions), positions)

    def _alleles(self, model: AlphaGenome, codes: Array, *places: Array) -> Predicted:
        last, gain, genes, annotated = places
        read = self._reader(model, codes.reshape(-1, codes.shape[-1]), self._bundles)
        made = Predicted(read.tracks, None, None)
        if read.fine is not None:
            sites = read.tracks["SPLICE_SITES"]
            seen = jnp.maximum(sites[0::2], jax.vmap(aligned)(sites[1::2], last, gain))
            positions = shared_sites(model, seen, genes, annotated).repeat(2, axis=0)
            moved = aligned_embeddings(read.fine[:, 1::2], last, gain)
            fine = jnp.stack([read.fine[:, 0::2], moved], axis=2).reshape(read.fine.shape)
            made = self._predicted(read, self._reader.junctions(model, fine, positions), positions)
        return jax.tree.map(lambda x: x.reshape(-1, 2, *x.shape[1:]), made)

    def _predicted(self, read: Read, junctions: Array, positions: Array) -> Predicted:
        kept = {bundle: values for bundle, values in read.tracks.items() if bundle in self._wanted}
        return Predicted(kept, junctions, positions)
