"""Random schedules of faults: every run ends with the file that was pinned, or with one line that says why not."""

from __future__ import annotations

import errno
import hashlib
import io
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from site_with_faults import Answer, Handler, Site, leads_to, status

from megabase.errors import InputError
from megabase.portals import download
from megabase.portals.config import PortalsConfig
from megabase.portals.fetch import fetched_file
from megabase.portals.http import Web

SCHEDULES = [*range(25), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(25, 500))]


class Schedule:
    """A file, the faults that stand between it and the client, and what the client is seen to ask for."""

    def __init__(self, seed: int, site: Site, clock: Any, folder: Path) -> None:
        self.draw = np.random.default_rng(seed)
        self.site, self.clock = site, clock
        self.content = self.draw.bytes(int(self.draw.integers(1, 40_000)))
        self.path = folder / "raw" / "ENCFF000AAA.bam"
        self.part = folder / "raw" / "ENCFF000AAA.bam.part"
        self.sized = bool(self.draw.random() < 0.7)
        self.redirected = bool(self.draw.random() < 0.5)
        self.room: int | None = None
        """Bytes that the disk still takes; None for any number."""
        self.due = 0
        """Bytes that the client must have by now: of these none may be asked for again."""
        kinds: list[Callable[[], Answer]] = [
            self.busy, self.reset, self.truncated, self.wrong, self.stale, self.expired, self.drip, self.refused,
            self.restart, self.full,
        ]  # fmt: skip
        chosen = self.draw.integers(0, len(kinds), int(self.draw.integers(0, 9)))
        self.names = [kinds[kind].__name__ for kind in chosen]
        self.faults = [kinds[kind]() for kind in chosen]
        site.answers["/files/a"] = leads_to(f"{site.url}/storage/a?Signature=1") if self.redirected else self.answer
        site.answers["/storage/a"] = self.answer
        site.answers["/storage/expired"] = status(403)

    def row(self) -> dict[str, str]:
        kind = "md5" if self.draw.random() < 0.5 else "sha256"
        named = {"portal": "encode", "accession": "ENCFF000AAA", "path": str(self.path), "url": "files/a", "etag": ""}
        pinned = {"bytes": str(len(self.content)) if self.sized else "", "md5": "", "sha256": ""}
        return named | pinned | {kind: hashlib.new(kind, self.content).hexdigest()}

    def answer(self, handler: Handler) -> None:
        """The next fault, or the file, once it is clear that nothing is asked for twice."""
        here = self.part.read_bytes() if self.part.exists() else b""
        first = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if not first == len(here) >= self.due:
            self.site.complaints.append(f"from {first} on is asked for, {len(here)} are there, {self.due} were sent")
        self.due = 0
        self.faults.pop(0)(handler) if self.faults else self.whole(handler)

    def whole(self, handler: Handler) -> None:
        handler.serve(self.content)

    def arrives(self, handler: Handler, body: bytes) -> None:
        """Whatever of the file was sent and not refused by the disk must be there at the next request."""
        if self.room is None:
            self.due = self.offset(handler) + len(body)

    def offset(self, handler: Handler) -> int:
        code, rest, _ = handler.asked_for(self.content)
        return len(self.content) - len(rest) if code == 206 else 0

    def busy(self) -> Answer:
        wait = str(int(self.draw.integers(0, 100)))
        return status(429, Retry_After=wait) if self.draw.random() < 0.5 else status(503)

    def truncated(self) -> Answer:
        return self._broken(lambda handler: None)

    def reset(self) -> Answer:
        def reset(handler: Handler) -> None:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

        return self._broken(reset)

    def _broken(self, ending: Callable[[Handler], None]) -> Answer:
        share = self.draw.random()

        def answer(handler: Handler) -> None:
            code, body, headers = handler.asked_for(self.content)
            sent = body[: int(share * len(body))]
            self.arrives(handler, sent)
            handler.reply(code, sent, headers, len(body))
            handler.wfile.flush()
            ending(handler)

        return answer

    def wrong(self) -> Answer:
        other = bool(self.draw.random() < 0.5)

        def answer(handler: Handler) -> None:
            code, body, headers = handler.asked_for(self.content)
            bad = bytes(byte ^ 1 for byte in body)
            # Under another tag, or under that of the right file.
            handler.reply(code, bad, headers | ({"ETag": '"other"'} if other else {}))

        return answer

    def stale(self) -> Answer:
        return lambda handler: handler.reply(*handler.asked_for(self.content[: len(self.content) // 2]))

    def expired(self) -> Answer:
        return leads_to(f"{self.site.url}/storage/expired?Signature=0")

    def refused(self) -> Answer:
        return status(int(self.draw.choice([401, 403])))

    def drip(self) -> Answer:
        def answer(handler: Handler) -> None:
            code, body, headers = handler.asked_for(self.content)
            handler.reply(code, b"", headers, len(body))
            for at in range(0, len(body), 1 + len(body) // 8):
                handler.wfile.write(body[at : at + 1 + len(body) // 8])
                time.sleep(0.001)
                self.clock.now += 30.0

        return answer

    def restart(self) -> Answer:
        cut, pauses = self.truncated(), int(self.draw.integers(1, 4))

        def answer(handler: Handler) -> None:
            cut(handler)
            self.site.stop()
            self.clock.until = pauses

        return answer

    def full(self) -> Answer:
        room = int(self.draw.integers(0, 20_000))

        def answer(handler: Handler) -> None:
            self.room = room
            self.whole(handler)

        return answer

    def open(self, path: Path, mode: str) -> Any:
        """A file on a disk that may be full."""
        return open(path, mode) if "r" in mode else io.BufferedWriter(_Full(path, mode, self))  # type: ignore[type-var]


class _Full(io.FileIO):
    def __init__(self, path: Path, mode: str, schedule: Schedule) -> None:
        super().__init__(path, mode)
        self.schedule = schedule

    def write(self, data: Any) -> int:
        room = self.schedule.room
        if room is None:
            return super().write(data)
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(data[:room])
        self.schedule.room = room - written
        return written


@pytest.mark.parametrize("seed", SCHEDULES)
def test_a_schedule_of_faults(seed: int, site: Site, clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs until there is nothing left that could go wrong, as a workflow is started again and again."""
    schedule = Schedule(seed, site, clock, tmp_path)
    monkeypatch.setattr(download, "open", schedule.open, raising=False)
    portals = PortalsConfig(requests_per_second=1e6, retries=2, timeout=45)
    web = Web(portals, clock=clock, sleep=clock.sleep, jitter=schedule.draw.random)
    row, said = schedule.row(), []
    clock.then = site.start
    for _ in range(len(schedule.faults) + 1):
        try:
            with fetched_file(row, "", {"encode": site.url}, portals, web=web) as path:
                assert path.read_bytes() == schedule.content
            break
        except InputError as error:
            said.append(str(error))
            schedule.room = None  # somebody made room
            site.start()
    else:
        pytest.fail(f"never ended: {schedule.names}, {said}")
    assert not site.complaints, (schedule.names, said)
    assert not any("\n" in line or "Traceback" in line for line in said)
    assert all(_explained(line) for line in said), said
    assert sorted(path.name for path in (tmp_path / "raw").iterdir() if path.name[0] != ".") == []


def _explained(line: str) -> bool:
    """Says what is wrong and what to do."""
    return "; " in line and any(
        told in line
        for told in (
            "the server says", "connection lost", "bytes arrived", "kB a second", "size mismatch", "checksum mismatch",
            "has expired", "has changed", "cannot write: No space left",
        )
    )  # fmt: skip
