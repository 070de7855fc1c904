"""Both alleles of a batch of variants through the model, reduced on the device to what the scorers compare.

Predictions of a whole window are gigabytes at full size; sums over masks and windows around the variant are not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Bool, Float32, Int, Int32, UInt8

from megabase.bundles import BUNDLES
from megabase.model.heads import Embeddings
from megabase.model.network import AlphaGenome
from megabase.model.spec import HeadSpec
from megabase.model.splicing import THRESHOLD, likely_sites
from megabase.model.strands import SITE_CLASSES
from megabase.scoring.config import Scorer
from megabase.scoring.forward import Forward, in_units, one_hot, turned_back
from megabase.scoring.junctions import SITES
from megabase.scoring.sequences import aligned
from megabase.store.reader import strand_order

JUNCTIONS = BUNDLES["SPLICE_JUNCTIONS"].head
_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


class Places(NamedTuple):
    """Where to look in each variant's window. M and H: places for masks, the same in every batch."""

    codes: UInt8[Any, "B 2 S"]
    """REF and ALT."""
    offset: Int32[Any, " B"]
    """First base of the variant, from the window's start."""
    last: Int32[Any, " B"]
    """As `indel` gives it ..."""
    gain: Int32[Any, " B"]
    """... and this."""
    covered: Bool[Any, "B M S"]
    """Bases to sum RNA-seq coverage over."""
    bodies: Bool[Any, "B H S"]
    """Gene bodies around the variant."""
    sites: Bool[Any, "B S 4"]
    """Annotated splice sites."""


class Compared(NamedTuple):
    """What the scorers read; only what the scorers ask for."""

    center: dict[str, Float32[Any, "2 B bins T"]]
    """By bundle, around the variant; ALT not aligned."""
    contacts: Float32[Any, "2 B P T"] | None
    """Of the variant's bin with all bins."""
    covered: Float32[Any, "2 B M T"] | None
    """RNA-seq coverage summed over each mask, ALT aligned to REF."""
    bodies: dict[str, Float32[Any, "B H T"]]
    """By bundle, the change of largest magnitude within each gene body, ALT aligned to REF, with its sign."""
    junctions: Float32[Any, "2 B K K 2*T"] | None
    """Reads between the sites ..."""
    positions: Int32[Any, "B 4 K"] | None
    """... at these positions, the same for both alleles."""


class Comparison:
    """One compiled program for all variants."""

    def __init__(
        self,
        forward: Forward,
        row: int,
        tables: Mapping[str, pd.DataFrame],
        scorers: Collection[Scorer],
        reverse_complement: bool,
    ) -> None:
        """`row`, `tables`: of the organism in the model."""
        self._specs, self._row, self._tables = forward.specs, row, tables
        self._scorers, self._both_strands = tuple(scorers), reverse_complement
        self._compiled = forward.compiled(self._compare)

    def __call__(self, places: Places) -> Compared:
        """What both alleles predict, on the host."""
        return jax.device_get(self._compiled(*places))

    def _compare(self, model: AlphaGenome, *arrays: Any) -> Compared:
        places = Places(*arrays)
        batch, _, length = places.codes.shape
        sequences = jnp.moveaxis(places.codes, 1, 0)[None]
        if self._both_strands:
            turned = jnp.asarray(_COMPLEMENT)[sequences[..., ::-1]]
            sequences = jnp.concatenate([sequences, turned])
        shape = sequences.shape[:3]  # strands, alleles, variants
        index = jnp.full(np.prod(shape), self._row, jnp.int32)
        wanted = {BUNDLES[scorer.bundle].head for scorer in self._scorers}
        heads = wanted - {JUNCTIONS} | ({BUNDLES["SPLICE_SITES"].head} if JUNCTIONS in wanted else set())
        needed = frozenset().union(*(model.heads[head].needs for head in wanted | heads))
        embeddings = model.embed(one_hot(sequences.reshape(-1, length)), index, needed=needed)
        outputs = model.read(embeddings, index, heads)

        def tracks(bundle: str, resolution: int) -> Float32[Array, "2 B *positions T"]:
            spec = self._specs[BUNDLES[bundle].head]
            name = f"predictions_{resolution}bp" if spec.settings.kind == "signal" else "predictions"
            values = in_units(outputs[spec.head])[name][..., spec.columns(self._row)]
            forward, *others = values.reshape(*shape[:1], -1, *values.shape[1:])
            order = SITE_CLASSES[:-1] if bundle == "SPLICE_SITES" else strand_order(self._tables[bundle])
            for other in others:
                forward = (forward + turned_back(other, bundle, resolution, order)) / 2
            return forward.reshape(2, batch, *forward.shape[1:])

        return self._reduced(model, embeddings, index, places, tracks, shape)

    def _reduced(
        self,
        model: AlphaGenome,
        embeddings: Embeddings,
        index: Array,
        places: Places,
        tracks: Any,
        shape: tuple[int, ...],
    ) -> Compared:
        center: dict[str, Array] = {}
        bodies: dict[str, Array] = {}
        contacts = covered = junctions = positions = None
        back = jax.vmap(aligned)
        for scorer in self._scorers:
            if scorer.family == "center" and scorer.bundle not in center:
                values = tracks(scorer.bundle, scorer.resolution)
                center[scorer.bundle] = _around(values, places.offset, scorer)
            elif scorer.family == "contacts":
                row = places.offset // scorer.resolution
                contacts = jax.vmap(lambda x, i: x[:, :, i], (1, 0), 1)(tracks(scorer.bundle, scorer.resolution), row)
            elif scorer.family in ("exons", "polyadenylation") and covered is None:
                ref, alt = tracks(scorer.bundle, scorer.resolution)
                both = jnp.stack([ref, back(alt, places.last, places.gain)])
                covered = jnp.einsum("bms,abst->abmt", places.covered.astype(jnp.float32), both)
            elif scorer.family == "bodies" and scorer.bundle not in bodies:
                ref, alt = tracks(scorer.bundle, scorer.resolution)
                change = back(alt, places.last, places.gain) - ref
                bodies[scorer.bundle] = jax.vmap(largest)(change, places.bodies)
            elif scorer.family == "junctions":
                ref, alt = tracks("SPLICE_SITES", 1)
                seen = jnp.maximum(ref, back(alt, places.last, places.gain))
                seen = jnp.maximum(seen, places.sites.astype(seen.dtype))
                seen = jnp.where(places.bodies.any(axis=1)[..., None], seen, 0)
                positions = likely_sites(seen, model.config.network.junction_sites, threshold=THRESHOLD)
                positions = positions[..., :SITES]
                junctions = self._junctions(model, embeddings, index, places, positions, shape)
        return Compared(center, contacts, covered, bodies, junctions, positions)

    def _junctions(
        self,
        model: AlphaGenome,
        embeddings: Embeddings,
        index: Array,
        places: Places,
        positions: Int32[Array, "B 4 K"],
        shape: tuple[int, ...],
    ) -> Float32[Array, "2 B K K 2*T"]:
        """At the same sites in both alleles: ALT's embeddings are aligned to REF first."""
        spec: HeadSpec = self._specs[JUNCTIONS]
        length = places.codes.shape[-1]
        fine = embeddings.at("1bp")
        moved, sites = [], []
        for turned, (ref, alt) in enumerate(fine.reshape(*shape, *fine.shape[1:])):
            # The other strand's embeddings are aligned as the forward strand reads them.
            alt = jax.vmap(aligned)(alt[:, ::-1] if turned else alt, places.last, places.gain)
            moved += [ref, alt[:, ::-1] if turned else alt]
            mirrored = jnp.where(positions >= 0, length - 1 - positions, -1)[:, SITE_CLASSES[:4]]
            sites += [mirrored if turned else positions] * 2
        read = model.read(Embeddings(embeddings_1bp=jnp.concatenate(moved)), index, {JUNCTIONS}, jnp.concatenate(sites))
        columns = spec.columns(self._row)
        values = read[JUNCTIONS]["predictions"][..., np.concatenate([columns, spec.tracks + columns])]
        forward, *others = values.reshape(*shape, *values.shape[1:])
        for other in others:
            forward = (forward + jnp.roll(other, len(columns), axis=-1)) / 2
        return forward


def largest(change: Float32[Array, "S T"], masks: Bool[Array, "H S"]) -> Float32[Array, "H T"]:
    """The value of largest magnitude within each mask, with its sign; 0 where a mask is empty."""

    def within(mask: Bool[Array, " S"]) -> Float32[Array, " T"]:
        inside = jnp.where(mask[:, None], change, 0)
        top, bottom = inside.max(axis=0), inside.min(axis=0)
        return jnp.where(top >= -bottom, top, bottom)

    return lax.map(within, masks)


def _around(
    values: Float32[Array, "2 B bins T"], offset: Int[Array, " B"], scorer: Scorer
) -> Float32[Array, "2 B window T"]:
    """The bins around the variant, which lies in the middle of its sequence: they never reach its ends."""
    bins = min(scorer.bins, values.shape[2])
    first = jnp.clip(offset // scorer.resolution - scorer.bins // 2, 0, values.shape[2] - bins)
    return jax.vmap(lambda x, i: lax.dynamic_slice_in_dim(x, i, bins, axis=1), (1, 0), 1)(values, first)
