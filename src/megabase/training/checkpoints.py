"""Checkpoints: written by Orbax while training goes on, found again by key, trusted only when whole."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from megabase.artifacts import digest, file_sha256, write_json
from megabase.errors import InputError
from megabase.training import hosts
from megabase.training.step import TrainState

logger = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one training run, in a folder named by everything that decides its weights.

    Every process writes the shares that its devices hold; the first one also keeps the records.
    """

    def __init__(self, root: Path, deciding: dict[str, Any], keep: int, recorded: dict[str, Any] | None = None) -> None:
        """`deciding`: model, recipe, splits, data; its digest names the folder, so that a changed run starts anew.
        `recorded`: what is worth knowing of this run but does not decide, such as the mesh."""
        import orbax.checkpoint as ocp

        self.folder = (root / digest(deciding)).resolve()
        if hosts.first():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "run.json", deciding | (recorded or {}))
            for begun in self.folder.glob("*.orbax-checkpoint-tmp*"):  # By a process that was killed.
                shutil.rmtree(begun, ignore_errors=True)
        hosts.meet("checkpoints")
        self._keep = keep
        self._writer = ocp.StandardCheckpointer()
        self._finishing: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.stalled: list[float] = []
        """Seconds that training stood still for each checkpoint."""

    def save(self, state: TrainState) -> None:
        """Begins to write the state of a step; it counts once it is whole. What is beyond the number kept is removed
        then. Waits for the one before, where that is not finished."""
        began = time.monotonic()
        self.wait()
        step = int(state.step)
        path = self.folder / str(step)
        if not path.exists():
            leaves = _leaves(state)
            if jax.default_backend() == "cpu":
                # Orbax reads a processor's arrays where they lie, and the next update writes there. Nothing is compiled
                # for this copy: a program for each of a thousand shapes would hold training up for seconds.
                leaves = jax.device_put(leaves, {name: x.sharding for name, x in leaves.items()}, may_alias=False)
            self._writer.save(path, leaves)
            self._finishing = threading.Thread(target=self._finish, args=(step,), name="checkpoint", daemon=True)
            self._finishing.start()
        self.stalled.append(time.monotonic() - began)

    def wait(self) -> None:
        """Until the checkpoint that is being written is whole; raises what went wrong with it."""
        if self._finishing:
            self._finishing.join()
            self._finishing = None
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure

    def newest(self, like: TrainState) -> TrainState | None:
        """The newest checkpoint that reads back as it was written, placed as `like` is, on whatever mesh that may be;
        broken ones are passed over and removed."""
        places = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), _leaves(like)
        )
        while (step := hosts.told(self._newest_whole() if hosts.first() else -1)) >= 0:
            try:
                arrays = self._writer.restore(self.folder / str(step), places)
            except Exception as error:  # Whatever is wrong with it, an older one may be whole.
                self._pass_over(step, error)
                hosts.meet("passed over")
                continue
            return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in sorted(arrays)])
        return None

    def record_divergence(self, step: int, head: str, windows: list[Any]) -> InputError:
        """Notes that the loss stopped being a number, so that a retry does not try the same again."""
        if hosts.first():
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

    def _finish(self, step: int) -> None:
        """In a thread of its own: the record that makes a checkpoint count comes last."""
        try:
            self._writer.wait_until_finished()
            if hosts.first():
                write_json(self.folder / f"{step}.json", {"step": step, "content": _content(self.folder / str(step))})
                for old in self._steps()[: -self._keep]:
                    self._remove(old)
        except BaseException as error:
            self._failure = error

    def _newest_whole(self) -> int:
        """The last step whose files are those that were written, or -1."""
        for step in reversed(self._steps()):
            try:
                noted = json.loads((self.folder / f"{step}.json").read_text())
                if _content(self.folder / str(step)) != noted["content"]:
                    raise ValueError("its files are not those that were written")
            except Exception as error:
                self._pass_over(step, error)
                continue
            return step
        return -1

    def _pass_over(self, step: int, error: Exception) -> None:
        said = " ".join(str(error).split())[:200]
        logger.warning("checkpoint %s is not used: %s", self.folder / str(step), said)
        if hosts.first():
            self._remove(step)

    def _steps(self) -> list[int]:
        return sorted(int(path.name) for path in self.folder.iterdir() if path.is_dir() and path.name.isdigit())

    def _remove(self, step: int) -> None:
        (self.folder / f"{step}.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / str(step), ignore_errors=True)


@contextmanager
def finished(checkpoints: Checkpoints) -> Iterator[None]:
    """What was begun inside is whole afterwards, whatever ends the inside."""
    try:
        yield
    finally:
        checkpoints.wait()


def _leaves(state: TrainState) -> dict[str, jax.Array]:
    """The state's arrays under names that keep their order: Orbax needs no knowledge of its types."""
    return {f"{i:05d}": leaf for i, leaf in enumerate(jax.tree.leaves(state))}


def _content(folder: Path) -> str:
    """One hash of the names and bytes of all files of a checkpoint."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest([[str(path.relative_to(folder)), file_sha256(path)] for path in files])
