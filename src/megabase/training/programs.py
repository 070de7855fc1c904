"""Compiled programs: one for all models of a shape, made by one process while the others wait for it."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from jax.stages import Compiled, Lowered

from megabase.model.compiling import compiled, keep_memory
from megabase.training.config import LoopConfig

logger = logging.getLogger(__name__)


def prepare(config: LoopConfig) -> None:
    """Sets where compiled programs are kept, how many cores this process computes on, and that it keeps its memory.

    Before the first computation: JAX's thread pools are made then, and never change. JAX_COMPILATION_CACHE_DIR, where
    set, goes before the config.
    """
    if config.threads:
        # Read by JAX's CPU client, and no part of a program's key in the cache. XLA_FLAGS would be part of it; and
        # --xla_cpu_multi_thread_eigen=false leaves all threads running in JAX 0.10.
        os.environ["PJRT_NPROC"] = str(config.threads)
    if config.compilation_cache and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(Path(config.compilation_cache).resolve()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    keep_memory()


class Program:
    """A function compiled at its first call, for arguments of the shapes it is first called with.

    Of several processes that need the same program one compiles it; the others wait and read it from JAX's cache.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        """`options`: those of `jax.jit`."""
        self._function = jax.jit(function, **options)
        self._compiled: Compiled | None = None
        self._flops: float | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is None:
            began = time.monotonic()
            lowered = self._function.lower(*arguments)
            traced = time.monotonic()
            with _alone(hashlib.sha256(lowered.as_text().encode()).hexdigest()[:16]):
                waited = time.monotonic()
                self._compiled = compiled(lowered, jax.default_backend(), jax.device_count())
            logger.info(
                "the program was traced in %.0f s, waited for in %.0f s, compiled or read in %.0f s",
                *(traced - began, waited - traced, time.monotonic() - waited),
            )
        return self._compiled(*arguments)

    @property
    def flops(self) -> float | None:
        """Floating-point operations of a call on one device, as XLA counts them: a loop's body once. None before the
        first call."""
        if self._compiled and self._flops is None:
            self._flops = float((self._compiled.cost_analysis() or {}).get("flops", 0.0))
        return self._flops

    def lowered(self, *arguments: Any) -> Lowered:
        """The program for these arguments, before compilation; those of equal text are one entry of the cache."""
        return self._function.lower(*arguments)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """While inside, no other process on this cache is inside for the same program. A process that dies lets go."""
    cache: str | None = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    # Object stores have no locks: there every process may compile. Processes of one program compile it together.
    if not cache or "://" in cache or jax.process_count() > 1:
        yield
        return
    path = Path(cache) / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # A file system without locks costs a second compilation, nothing else.
            logger.warning("%s cannot be locked: %s", path, error)
        yield
