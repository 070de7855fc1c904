"""Predictions of a trained model for given sequences, in the signal's own units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import nnx
from jaxtyping import Float32, UInt8

from megabase.errors import InputError
from megabase.genome.sequence import reverse_complement
from megabase.model.network import AlphaGenome
from megabase.model.strands import SITE_CLASSES
from megabase.model.weights import load
from megabase.store.reader import strand_order

Tracks = dict[str, dict[int, Float32[np.ndarray, "B *positions T"]]]
"""By head and resolution (bp): [B, S/r, T]; contact maps [B, S/2048, S/2048, T] at 2048. Junctions lie between places,
not along the sequence, and are not among them."""


class Predictor:
    """A trained model, compiled once per input length."""

    def __init__(self, model: AlphaGenome, description: dict[str, Any]) -> None:
        self.description = description
        self.window_length: int = description["window_length"]
        """Length of the windows it was trained on, in bp."""
        self.tracks = {
            organism: {bundle: pd.DataFrame(rows) for bundle, rows in tables.items()}
            for organism, tables in description["tracks"].items()
        }
        """Track tables by organism and bundle, in the order of predictions."""
        self._rows: dict[str, int] = description["organisms"]
        self._specs = model.config.heads
        graph, state = nnx.split(model)

        @jax.jit
        def forward(state: Any, codes: jax.Array, index: jax.Array) -> Any:
            heads = frozenset(spec.head for spec in model.config.heads if spec.bundle != "SPLICE_JUNCTIONS")
            predictions, _ = nnx.merge(graph, state)(jax.nn.one_hot(codes, 4), index, requested_outputs=heads)
            # Model space is the loss's own; people want the signal's units.
            kept = {
                name: {k: v for k, v in outputs.items() if k.startswith("predictions")}
                for name, outputs in predictions.items()
            }
            return jax.tree.map(lambda x: x.astype(jnp.float32), kept)

        self._forward = lambda codes, index: forward(state, codes, index)

    @staticmethod
    def load(directory: str | Path) -> Predictor:
        """The model exported to a folder. Raises InputError where there is none."""
        return Predictor(*load(directory))

    def predict(
        self, codes: UInt8[np.ndarray, "B S"], organism: str, reverse_complement_average: bool = True
    ) -> Tracks:
        """Predictions for base codes (4: unknown), for the organism's own tracks; float32.

        With `reverse_complement_average`, the mean with what the other strand predicts (paper section 7).
        Raises InputError for an organism that the model does not know.
        """
        if organism not in self._rows:
            remedy = f"choose from {', '.join(self._rows)}"
            raise InputError(f"the model knows no organism `{organism}`", where="predict", remedy=remedy)
        index = jnp.full(len(codes), self._rows[organism], jnp.int32)
        forward = self._tracks(self._forward(jnp.asarray(codes), index), organism)
        if not reverse_complement_average:
            return forward
        turned = self._tracks(self._forward(jnp.asarray(reverse_complement(codes)), index), organism)
        return {
            head: {
                r: (values + self._turned_back(turned[head][r], head, r, organism)) / 2 for r, values in outputs.items()
            }
            for head, outputs in forward.items()
        }

    def _tracks(self, predictions: Any, organism: str) -> Tracks:
        made: Tracks = {}
        for spec in self._specs:
            if spec.bundle not in self.tracks[organism] or spec.head not in predictions:
                continue
            outputs, columns = jax.device_get(predictions[spec.head]), spec.columns(self._rows[organism])
            made[spec.head] = {
                r: outputs[f"predictions_{r}bp" if spec.settings.kind == "signal" else "predictions"][..., columns]
                for r in spec.settings.resolutions
            }
        return made

    def _turned_back(self, values: np.ndarray, head: str, resolution: int, organism: str) -> np.ndarray:
        """Predictions of the reverse complement as the forward strand reads them (architecture reference 8)."""
        bundle = next(spec.bundle for spec in self._specs if spec.head == head)
        if bundle == "CONTACT_MAPS":
            return values[:, ::-1, ::-1]
        order = SITE_CLASSES[:-1] if bundle == "SPLICE_SITES" else strand_order(self.tracks[organism][bundle])
        values = values[:, ::-1][..., order]
        if bundle == "DNASE" and resolution == 1:
            # Its cuts are counted at the base right of them, which is the left one on the other strand; the first
            # base has no such neighbour and keeps its own value.
            values = np.concatenate([values[:, :1], values[:, :-1]], axis=1)
        return values
