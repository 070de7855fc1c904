"""Scores written part by part, so that a run which is stopped anywhere goes on where it was."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from megabase.artifacts import atomic_path, remove_leftovers
from megabase.scoring.table import ScoreTable

_EVERY = 10.0
"""Seconds of work that a kill may cost."""
_ROWS = 200_000
_LAST = b"last"


class Parts:
    """A folder of Parquet files, each with the scores of some variants in a row, under the key of what makes them."""

    def __init__(self, out: Path, key: str) -> None:
        """`out`: the file that the parts become. `key`: same key, same scores."""
        self._out, self._above = out, out.with_name(f".{out.name}.parts")
        self.folder = self._above / key

    def done(self) -> int:
        """How many variants are scored: those of whole parts without a gap."""
        return sum(last - first for first, last, _ in self._whole())

    def forget(self) -> None:
        """Removes the parts of this key."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # parts of other keys stay
            self._above.rmdir()

    def write(self, scored: Iterator[Callable[[ScoreTable], int]], opened: Callable[[Path], ScoreTable]) -> None:
        """Takes what is scored, batch by batch: each adds its rows to a table and counts its variants."""
        first = last = self.done()
        ended = False
        while not ended:
            with atomic_path(self._path(first)) as partial, opened(partial) as table:
                began, ended = time.monotonic(), True
                for add in scored:
                    last += add(table)
                    if time.monotonic() - began > _EVERY:
                        ended = False
                        break
                table.note({_LAST.decode(): str(last)})
            if last == first:
                self._path(first).unlink()
            first = last

    def join(self, schema: pa.Schema) -> None:
        """Makes one file of the parts, in row groups of full size, and removes them."""
        remove_leftovers(self._out)  # of runs killed while they joined
        with atomic_path(self._out) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for rows in _regrouped(path for _, _, path in self._whole()):
                writer.write_table(rows.replace_schema_metadata(schema.metadata))
        shutil.rmtree(self._above)

    def _path(self, first: int) -> Path:
        return self.folder / f"{first:012d}.parquet"

    def _whole(self) -> Iterator[tuple[int, int, Path]]:
        first = 0
        while (path := self._path(first)).exists():
            last = int(pq.read_metadata(path).metadata[_LAST])
            yield first, last, path
            first = last


def _regrouped(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """The rows of all files in order, `_ROWS` at a time."""
    held: list[pa.Table] = []
    count = 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group)
                held.append(rows)
                count += len(rows)
                if count < _ROWS:
                    continue
                together = pa.concat_tables(held).unify_dictionaries()
                whole = count // _ROWS * _ROWS
                yield together.slice(0, whole)
                held, count = [together.slice(whole)], count - whole
    if count:
        yield pa.concat_tables(held).unify_dictionaries()
