"""Checkpoints: written by Orbax, found again by key, trusted only when whole."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from megabase.artifacts import digest, write_json
from megabase.errors import InputError
from megabase.training.step import TrainState

logger = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one training run, in a folder named by everything that decides its weights."""

    def __init__(self, root: Path, deciding: dict[str, Any], keep: int) -> None:
        """`deciding`: model, recipe, splits, data; its digest names the folder, so that a changed run starts anew."""
        import orbax.checkpoint as ocp

        self.folder = (root / digest(deciding)).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "run.json", deciding)
        self._keep = keep
        self._writer = ocp.StandardCheckpointer()

    def save(self, state: TrainState) -> None:
        """Writes the state of a step, whole or not at all, and removes those beyond the number kept."""
        step = int(state.step)
        path = self.folder / str(step)
        if path.exists():
            return
        arrays = jax.tree.map(np.asarray, _leaves(state))
        self._writer.save(path, arrays)
        self._writer.wait_until_finished()
        write_json(self.folder / f"{step}.json", {"step": step, "content": _content(arrays)})
        for old in self._steps()[: -self._keep]:
            self._remove(old)

    def newest(self, like: TrainState) -> TrainState | None:
        """The newest checkpoint that reads back as it was written; broken ones are passed over and removed."""
        empty = jax.tree.map(np.asarray, _leaves(like))
        for step in reversed(self._steps()):
            try:
                noted = json.loads((self.folder / f"{step}.json").read_text())
                arrays = self._writer.restore(self.folder / str(step), empty)
                if _content(arrays) != noted["content"]:
                    raise ValueError("its values are not those that were written")
            except Exception as error:  # Whatever is wrong with it, an older one may be whole.
                logger.warning(
                    "checkpoint %s is not used: %s", self.folder / str(step), " ".join(str(error).split())[:200]
                )
                self._remove(step)
                continue
            leaves = [arrays[name] for name in sorted(arrays)]
            placed = [jax.device_put(new, old.sharding) for new, old in zip(leaves, jax.tree.leaves(like), strict=True)]
            return jax.tree.unflatten(jax.tree.structure(like), placed)
        return None

    def record_divergence(self, step: int, head: str, windows: list[Any]) -> InputError:
        """Notes that the loss stopped being a number, so that a retry does not try the same again."""
        write_json(self.folder / "diverged.json", {"step": step, "head": head, "windows": windows})
        return self._divergence(step, head, windows)

    def refuse_if_diverged(self) -> None:
        """Raises InputError where an earlier try of the same run diverged."""
        path = self.folder / "diverged.json"
        if path.exists():
            noted = json.loads(path.read_text())
            raise self._divergence(noted["step"], noted["head"], noted["windows"])

    def _divergence(self, step: int, head: str, windows: list[Any]) -> InputError:
        return InputError(
            f"the loss of {head} is not a number at step {step}, on {windows}",
            where=self.folder / "diverged.json",
            remedy="lower training.learning_rate or set training.clip_norm; delete this file to try the same again",
        )

    def _steps(self) -> list[int]:
        return sorted(int(path.name) for path in self.folder.iterdir() if path.is_dir() and path.name.isdigit())

    def _remove(self, step: int) -> None:
        (self.folder / f"{step}.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / str(step), ignore_errors=True)


def _leaves(state: TrainState) -> dict[str, jax.Array]:
    """The state's arrays under names that keep their order: Orbax needs no knowledge of its types."""
    return {f"{i:05d}": leaf for i, leaf in enumerate(jax.tree.leaves(state))}


def _content(arrays: PyTree) -> str:
    import hashlib

    content = hashlib.sha256()
    for name in sorted(arrays):
        content.update(np.ascontiguousarray(arrays[name]).tobytes())
    return content.hexdigest()
