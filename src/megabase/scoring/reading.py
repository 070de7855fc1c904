"""What a model reads in sequences, as the forward strand sees it: the predictions that are asked for, in one pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Float32, Int32, UInt8

from megabase.bundles import BUNDLES
from megabase.model.heads import Embeddings
from megabase.model.network import AlphaGenome
from megabase.model.strands import SITE_CLASSES
from megabase.scoring.forward import Forward, in_units, one_hot, turned_back
from megabase.store.reader import strand_order

Strand = Literal["+", "-"]
BOTH: tuple[Strand, ...] = ("+", "-")
JUNCTIONS, SITES = (BUNDLES[bundle].head for bundle in ("SPLICE_JUNCTIONS", "SPLICE_SITES"))


class Read(NamedTuple):
    """Predictions for sequences, in the order of the forward strand whatever strand was read."""

    tracks: dict[str, Float32[Array, "N *positions T"]]
    """By bundle, the organism's own tracks at the finest resolution; means of the strands that were read."""
    fine: Float[Array, "strands N S C"] | None
    """The embeddings that junctions are read from; only where they are asked for."""


class Reader:
    """How one organism's tracks are read from one, the other or both strands (paper section 7)."""

    def __init__(
        self, forward: Forward, row: int, tables: Mapping[str, pd.DataFrame], strands: Sequence[Strand]
    ) -> None:
        """`row`, `tables`: of the organism in the model."""
        self.specs, self.row, self.tables, self.strands = forward.specs, row, tables, tuple(strands)

    def __call__(self, model: AlphaGenome, codes: UInt8[Array, "N S"], bundles: Collection[str]) -> Read:
        """What the sequences predict for these bundles; junctions need `SPLICE_SITES` beside them."""
        return self.of_dna(model, one_hot(codes), bundles)

    def of_dna(self, model: AlphaGenome, dna: Float32[Array, "N S 4"], bundles: Collection[str]) -> Read:
        """The same, of one-hot sequences: what a gradient is taken with respect to."""
        count = len(dna)
        # A, C, G, T backwards are their complements.
        sides = [dna if strand == "+" else dna[:, ::-1, ::-1] for strand in self.strands]
        index = jnp.full(len(sides) * count, self.row, jnp.int32)
        heads = {BUNDLES[bundle].head for bundle in bundles}
        needed: frozenset[str] = frozenset().union(*(model.heads[head].needs for head in heads))
        embeddings = model.embed(jnp.concatenate(sides), index, needed=needed)
        outputs = model.read(embeddings, index, heads - {JUNCTIONS})
        fine = None
        if JUNCTIONS in heads:
            values = embeddings.at("1bp")
            values = values.reshape(len(sides), count, *values.shape[1:])
            fine = jnp.stack(
                [x if strand == "+" else x[:, ::-1] for strand, x in zip(self.strands, values, strict=True)]
            )
        return Read({b: self._tracks(b, outputs) for b in bundles if BUNDLES[b].head != JUNCTIONS}, fine)

    def _tracks(self, bundle: str, outputs: Mapping[str, dict[str, Array]]) -> Float32[Array, "N *positions T"]:
        spec = self.specs[BUNDLES[bundle].head]
        resolution = min(spec.settings.resolutions)
        name = f"predictions_{resolution}bp" if spec.settings.kind == "signal" else "predictions"
        values = in_units(outputs[spec.head])[name][..., spec.columns(self.row)]
        order = SITE_CLASSES[:-1] if bundle == "SPLICE_SITES" else strand_order(self.tables[bundle])
        sides = values.reshape(len(self.strands), -1, *values.shape[1:])
        read = [
            side if strand == "+" else turned_back(side, bundle, resolution, order)
            for strand, side in zip(self.strands, sides, strict=True)
        ]
        return read[0] if len(read) == 1 else (read[0] + read[1]) / 2

    def junctions(
        self, model: AlphaGenome, fine: Float[Array, "strands N S C"], positions: Int32[Array, "N 4 K"]
    ) -> Float32[Array, "N K K 2*T"]:
        """Reads from donors to acceptors at `positions` of the forward strand (by splice class; -1: none), tissues of
        the plus strand, then of the minus strand."""
        spec, (strands, count, length, _) = self.specs[JUNCTIONS], fine.shape
        mirrored = jnp.where(positions >= 0, length - 1 - positions, -1)[:, SITE_CLASSES[:4]]
        embeddings = jnp.concatenate([x if s == "+" else x[:, ::-1] for s, x in zip(self.strands, fine, strict=True)])
        sites = jnp.concatenate([positions if strand == "+" else mirrored for strand in self.strands])
        index = jnp.full(strands * count, self.row, jnp.int32)
        read = model.read(Embeddings(embeddings_1bp=embeddings), index, {JUNCTIONS}, sites)
        columns = spec.columns(self.row)
        values = read[JUNCTIONS]["predictions"][..., np.concatenate([columns, spec.tracks + columns])]
        sides = values.reshape(strands, count, *values.shape[1:])
        turned = [
            side if strand == "+" else jnp.roll(side, len(columns), axis=-1)
            for strand, side in zip(self.strands, sides, strict=True)
        ]
        return turned[0] if strands == 1 else (turned[0] + turned[1]) / 2
