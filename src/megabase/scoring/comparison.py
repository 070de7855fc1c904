"""Both alleles of variants through the model, reduced on the device to what the scorers compare.

Predictions of a whole window are gigabytes at full size; sums over masks and windows around the variant are not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pandas as pd
from jax import lax
from jaxtyping import Array, Bool, Float32, Int, Int32, UInt8

from megabase.model.network import AlphaGenome
from megabase.model.splicing import THRESHOLD, likely_sites
from megabase.scoring.center import NARROW, summed
from megabase.scoring.config import Scorer
from megabase.scoring.forward import Forward
from megabase.scoring.junctions import SITES
from megabase.scoring.reading import Read, Reader, Strand
from megabase.scoring.sequences import aligned


class Places(NamedTuple):
    """Where to look in each variant's window. M and H: places for masks, the same in every batch."""

    offset: Int32[Any, " B"]
    """First base of the variant, from the window's start."""
    last: Int32[Any, " B"]
    """As `indel` gives it ..."""
    gain: Int32[Any, " B"]
    """... and this."""
    covered: Bool[Any, "B M S"]
    """Bases to sum coverage over."""
    bodies: Bool[Any, "B H S"]
    """Gene bodies around the variant."""
    sites: Bool[Any, "B S 4"]
    """Annotated splice sites."""


class Compared(NamedTuple):
    """What the scorers read, of a batch of variants or (without the axis B) of one; only what the scorers ask for."""

    center: dict[tuple[str, int], Float32[Any, "*B 2 bins T"]]
    """By bundle and width of a narrow window, the bins around the variant; ALT not aligned."""
    wide: dict[str, Float32[Any, "*B sums T"]]
    """By name of a scorer with a wide window, what `megabase.scoring.center.summed` gives."""
    contacts: Float32[Any, "*B 2 P T"] | None
    """Of the variant's bin with all bins."""
    covered: dict[str, Float32[Any, "*B 2 M T"]]
    """By bundle, summed over each mask, ALT aligned to REF."""
    bodies: dict[str, Float32[Any, "*B H T"]]
    """By bundle, the change of largest magnitude within each gene body, ALT aligned to REF, with its sign."""
    before: dict[str, Float32[Any, "*B H T"]]
    """By bundle, what REF predicts where that change is; only where values are asked for."""
    junctions: Float32[Any, "*B 2 K K 2*T"] | None
    """Reads between the sites ..."""
    positions: Int32[Any, "*B 4 K"] | None
    """... at these positions, the same for both alleles."""

    def of(self, count: int) -> Iterator[Compared]:
        """Each of the first `count` variants of the batch, on the host."""
        here = jax.device_get(self)
        for i in range(count):
            yield jax.tree.map(lambda x, i=i: x[i], here)


class Comparison:
    """Compiled programs for all variants: one for each number of them at once."""

    def __init__(
        self,
        forward: Forward,
        row: int,
        tables: Mapping[str, pd.DataFrame],
        scorers: Collection[Scorer],
        strands: Sequence[Strand],
        values: bool = False,
    ) -> None:
        """`row`, `tables`: of the organism in the model. `strands`: which are read and averaged. `values`: what REF
        and ALT predict is asked for, beside their difference."""
        self._reader, self._scorers, self._values = Reader(forward, row, tables, strands), tuple(scorers), values
        self._bundles = {scorer.bundle for scorer in self._scorers}
        if "SPLICE_JUNCTIONS" in self._bundles:
            self._bundles.add("SPLICE_SITES")
        self._pairs = forward.compiled(self._both)
        self._first = forward.compiled(lambda model, codes: self._reader(model, codes, self._bundles))
        self._others = forward.compiled(self._against, whole=1)

    def pairs(self, codes: UInt8[Any, "B 2 S"], places: Places) -> Compared:
        """REF and ALT of each variant compared."""
        compared: Compared = self._pairs(codes, *places)
        return compared

    def reference(self, codes: UInt8[Any, " S"]) -> Read:
        """What a window predicts, kept on the device for `against`: at full size about 20 GB for all scorers."""
        read: Read = self._first(codes[None])
        return read

    def against(self, reference: Read, codes: UInt8[Any, "B S"], places: Places) -> Compared:
        """The ALTs of variants in one window compared with its REF."""
        compared: Compared = self._others(reference, codes, *places)
        return compared

    def _both(self, model: AlphaGenome, codes: Array, *places: Any) -> Compared:
        batch, _, length = codes.shape
        read = self._reader(model, jnp.moveaxis(codes, 1, 0).reshape(-1, length), self._bundles)
        ref, alt = (
            Read(
                {bundle: values[half] for bundle, values in read.tracks.items()},
                None if read.fine is None else read.fine[:, half],
            )
            for half in (slice(None, batch), slice(batch, None))
        )
        return self._reduced(model, ref, alt, Places(*places))

    def _against(self, model: AlphaGenome, reference: Read, codes: Array, *places: Any) -> Compared:
        return self._reduced(model, reference, self._reader(model, codes, self._bundles), Places(*places))

    def _reduced(self, model: AlphaGenome, ref: Read, alt: Read, places: Places) -> Compared:
        """`ref`: of each variant, or one for all."""
        made = Compared({}, {}, None, {}, {}, {}, None, None)

        def moved(bundle: str) -> Float32[Array, "B S T"]:
            return jax.vmap(aligned)(alt.tracks[bundle], places.last, places.gain)

        for scorer in self._scorers:
            bundle = scorer.bundle
            if scorer.family == "center":
                both = ref.tracks[bundle], alt.tracks[bundle]
                bins = scorer.bins_of(both[0].shape[1])
                if bins <= NARROW:
                    if (bundle, scorer.width) not in made.center:
                        windows = [_around(x, places.offset, scorer, bins) for x in both]
                        made.center[bundle, scorer.width] = jnp.stack(windows, axis=1)
                else:
                    made.wide[scorer.name] = _each(
                        lambda x, y, at, scorer=scorer: _wide(x, y, at, scorer), both[0], both[1], places.offset
                    )
            elif scorer.family == "contacts":
                row = places.offset // scorer.resolution
                cut = [_each(lambda x, i: x[:, i], x[bundle], row) for x in (ref.tracks, alt.tracks)]
                made = made._replace(contacts=jnp.stack(cut, axis=1))
            elif scorer.family in ("exons", "polyadenylation") and bundle not in made.covered:
                masks = places.covered.astype(jnp.float32)
                first = _each(lambda x, mask: mask @ x, ref.tracks[bundle], masks)
                made.covered[bundle] = jnp.stack([first, masks @ moved(bundle)], axis=1)
            elif scorer.family == "bodies" and bundle not in made.bodies:
                change = moved(bundle) - ref.tracks[bundle]
                made.bodies[bundle] = jax.vmap(largest)(change, places.bodies)
                if self._values:
                    made.before[bundle] = _each(_at_largest, ref.tracks[bundle], change, places.bodies)
            elif scorer.family == "junctions":
                seen = jnp.maximum(ref.tracks["SPLICE_SITES"], moved("SPLICE_SITES"))
                positions = shared_sites(model, seen, places.bodies.any(axis=1), places.sites)[..., :SITES]
                made = made._replace(positions=positions, junctions=self._junctions(model, ref, alt, places, positions))
        return made

    def _junctions(
        self, model: AlphaGenome, ref: Read, alt: Read, places: Places, positions: Int32[Array, "B 4 K"]
    ) -> Float32[Array, "B 2 K K 2*T"]:
        """At the same sites in both alleles: ALT's embeddings are aligned to REF first."""
        assert ref.fine is not None and alt.fine is not None
        moved = aligned_embeddings(alt.fine, places.last, places.gain)
        both = jnp.concatenate([jnp.broadcast_to(ref.fine, moved.shape), moved], axis=1)
        values = self._reader.junctions(model, both, jnp.concatenate([positions] * 2))
        return jnp.moveaxis(values.reshape(2, -1, *values.shape[1:]), 0, 1)


def shared_sites(
    model: AlphaGenome,
    seen: Float32[Array, "B S 4"],
    genes: Bool[Array, "B S"],
    annotated: Bool[Array, "B S 4"],
) -> Int32[Array, "B 4 K"]:
    """The sites that either allele makes likely, as `seen`, or that are annotated, within `genes`."""
    seen = jnp.maximum(seen, annotated.astype(seen.dtype))
    seen = jnp.where(genes[..., None], seen, 0)
    return likely_sites(seen, model.config.network.junction_sites, threshold=THRESHOLD)


def aligned_embeddings(
    fine: Float32[Array, "strands B S C"], last: Int32[Array, " B"], gain: Int32[Array, " B"]
) -> Float32[Array, "strands B S C"]:
    """Embeddings of ALT, moved to where REF has the same bases."""
    made: Array = jax.vmap(jax.vmap(aligned), (0, None, None))(fine, last, gain)
    return made


def largest(change: Float32[Array, "S T"], masks: Bool[Array, "H S"]) -> Float32[Array, "H T"]:
    """The value of largest magnitude within each mask, with its sign; 0 where a mask is empty."""

    def within(mask: Bool[Array, " S"]) -> Float32[Array, " T"]:
        inside = jnp.where(mask[:, None], change, 0)
        top, bottom = inside.max(axis=0), inside.min(axis=0)
        return jnp.where(top >= -bottom, top, bottom)

    made: Array = lax.map(within, masks)
    return made


def _at_largest(
    values: Float32[Array, "S T"], change: Float32[Array, "S T"], masks: Bool[Array, "H S"]
) -> Float32[Array, "H T"]:
    """Values where the change within each mask is largest."""

    def within(mask: Bool[Array, " S"]) -> Float32[Array, " T"]:
        place = jnp.where(mask[:, None], jnp.abs(change), -1).argmax(axis=0)
        return jnp.take_along_axis(values, place[None], axis=0)[0]

    made: Array = lax.map(within, masks)
    return made


def _each(function: Callable[..., Any], shared: Array, *others: Array) -> Any:
    """`function` of each variant's arrays; the first may be one for all variants."""
    if len(shared) == 1 and len(others[0]) > 1:
        return jax.vmap(lambda *own: function(shared[0], *own))(*others)
    return jax.vmap(function)(shared, *others)


def _around(
    values: Float32[Array, "B positions T"], offset: Int[Array, " B"], scorer: Scorer, bins: int
) -> Float32[Array, "B bins T"]:
    """The bins around the variant; near the sequence's ends as many, some of them beyond the scorer's window."""
    first = jnp.clip(offset // scorer.resolution - scorer.bins // 2, 0, values.shape[1] - bins)
    made: Array = _each(lambda x, i: lax.dynamic_slice_in_dim(x, i, bins, axis=0), values, first)
    return made


def _wide(
    ref: Float32[Array, "positions T"], alt: Float32[Array, "positions T"], offset: Int[Array, ""], scorer: Scorer
) -> Float32[Array, "sums T"]:
    place, inside = jnp.arange(len(ref)), jnp.ones((len(ref), 1), bool)
    if scorer.width:
        first = offset // scorer.resolution - scorer.bins // 2
        inside = ((place >= first) & (place < first + scorer.bins))[:, None]
    # What lies outside adds nothing to any sum: both alleles are 0 there.
    made: Array = summed(jnp.where(inside, ref, 0), jnp.where(inside, alt, 0), scorer.aggregation, jnp)  # type: ignore[arg-type]
    return made
