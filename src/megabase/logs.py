"""What a person sees of a running step: dated lines on the terminal and in the step's log, errors as one line."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from megabase.errors import InputError


@contextlib.contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Runs a step with its log in `path` and on stderr; an `InputError` becomes one line and exit status 1."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr), logging.FileHandler(path, mode="w")]
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers, force=True
    )
    # Libraries that announce every file they touch would bury the progress lines.
    for chatty in ("absl", "jax", "orbax", "matplotlib", "fontTools"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        yield
    except InputError as error:
        logging.error("error: %s", error)
        sys.exit(1)
    finally:
        for handler in handlers:
            handler.flush()
