"""Predictions of a trained model for given sequences, in the signal's own units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float32, Int32, UInt8

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.genome.sequence import reverse_complement
from megabase.model.network import AlphaGenome
from megabase.model.spec import HeadSpec
from megabase.model.strands import SITE_CLASSES
from megabase.model.weights import load
from megabase.scoring.forward import Forward, turned_back
from megabase.store.reader import strand_order

Tracks = dict[str, dict[int, Float32[np.ndarray, "B *positions T"]]]
"""By head and resolution (bp), those of its output type and its own: [B, S/r, T]; contact maps
[B, S/2048, S/2048, T] at 2048; splice sites the four classes and usage all tracks of the plus strand, then of the minus
strand, at 1. Junctions lie between places, not along the sequence, and are not among them."""
JUNCTIONS = BUNDLES["SPLICE_JUNCTIONS"].head


class Predictor:
    """A trained model, compiled once per shape of the input."""

    def __init__(self, model: AlphaGenome, description: dict[str, Any]) -> None:
        self.description = description
        self.window_length: int = description["window_length"]
        """Length of the windows it was trained on, in bp."""
        self.tracks = {
            organism: {bundle: pd.DataFrame(rows) for bundle, rows in tables.items()}
            for organism, tables in description["tracks"].items()
        }
        """Track tables by organism and bundle, in the order of predictions. Junctions: the tissues, whose predictions
        are those of the plus strand, then of the minus strand."""
        self.read_at = {spec.head: spec.read_at for spec in model.config.heads if spec.chosen}
        """Resolution, in bp, of targets that hold all that is predicted, where it is not that of the output type."""
        self._rows: dict[str, int] = description["organisms"]
        self._forward = Forward(model)

    @staticmethod
    def load(directory: str | Path) -> Predictor:
        """The model exported to a folder. Raises InputError where there is none."""
        return Predictor(*load(directory))

    def predict(
        self,
        codes: UInt8[np.ndarray, "B S"],
        organism: str,
        reverse_complement_average: bool = True,
        *,
        heads: frozenset[str] | None = None,
    ) -> Tracks:
        """Predictions of all `heads`, or of these, for base codes (4: unknown); of the organism's own tracks, float32.

        With `reverse_complement_average`, the mean with what the other strand predicts (paper section 7).
        Raises InputError for an organism that the model does not know.
        """
        forward = self._tracks(codes, organism, heads)
        if not reverse_complement_average:
            return forward
        turned = self._tracks(reverse_complement(codes), organism, heads)
        return {
            head: {
                r: (values + self._turned_back(turned[head][r], head, r, organism)) / 2 for r, values in outputs.items()
            }
            for head, outputs in forward.items()
        }

    def junctions(
        self,
        codes: UInt8[np.ndarray, "B S"],
        organism: str,
        positions: Int32[np.ndarray, "B 4 K"],
        reverse_complement_average: bool = True,
    ) -> Float32[np.ndarray, "B K K 2*T"]:
        """Reads that join each donor (axis 1) to each acceptor (axis 2): all tissues of the organism on the plus
        strand, then on the minus strand; 0 where either site is absent.

        `positions`: bases of the sequence by splice class (donor +, acceptor +, donor -, acceptor -), -1: none. With
        `reverse_complement_average` as in `predict`.
        Raises InputError for an organism that the model does not know and for a model without junctions.
        """
        row = self._row(organism)
        if JUNCTIONS not in self._forward.specs:
            raise InputError("the model predicts no junctions", where="junctions", remedy="train SPLICE_JUNCTIONS too")
        spec, index = self._forward.specs[JUNCTIONS], np.full(len(codes), row, np.int32)
        columns = spec.columns(row)
        both = np.concatenate([columns, spec.tracks + columns])

        def predicted(codes: np.ndarray, positions: np.ndarray) -> np.ndarray:
            outputs = self._forward(codes, index, {JUNCTIONS}, positions.astype(np.int32))
            return np.asarray(outputs[JUNCTIONS]["predictions"])[..., both]

        values = predicted(codes, positions)
        if not reverse_complement_average:
            return values
        mirrored = np.where(positions >= 0, codes.shape[1] - 1 - positions, -1)[:, SITE_CLASSES[:4]]
        turned = predicted(reverse_complement(codes), mirrored)
        return (values + np.roll(turned, len(columns), axis=-1)) / 2

    def _row(self, organism: str) -> int:
        if organism not in self._rows:
            remedy = f"choose from {', '.join(self._rows)}"
            raise InputError(f"the model knows no organism `{organism}`", where="predict", remedy=remedy)
        return self._rows[organism]

    def _tracks(self, codes: UInt8[np.ndarray, "B S"], organism: str, heads: frozenset[str] | None) -> Tracks:
        row, specs = self._row(organism), self._forward.specs
        wanted = (specs.keys() if heads is None else heads) - {JUNCTIONS}
        predictions = self._forward(codes, np.full(len(codes), row, np.int32), wanted)
        made: Tracks = {}
        for head, spec in specs.items():
            if spec.bundle not in self.tracks[organism] or head not in predictions:
                continue
            outputs, columns = jax.device_get(predictions[head]), spec.columns(row)
            made[head] = {
                r: outputs[f"predictions_{r}bp" if spec.settings.kind == "signal" else "predictions"][..., columns]
                for r in _given(spec)
            }
        return made

    def _turned_back(self, values: np.ndarray, head: str, resolution: int, organism: str) -> np.ndarray:
        bundle = self._forward.specs[head].bundle
        order = SITE_CLASSES[:-1] if bundle == "SPLICE_SITES" else strand_order(self.tracks[organism][bundle])
        return turned_back(values, bundle, resolution, order)


def _given(spec: HeadSpec) -> list[int]:
    """Resolutions of a head's predictions: its own, and those of its output type."""
    own = spec.resolutions if spec.settings.kind == "signal" else ()
    return sorted({*own, *spec.settings.resolutions})
