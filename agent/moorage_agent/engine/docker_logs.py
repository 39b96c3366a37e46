"""Containers' logs from Docker's own files, where they can be read: also while the engine does not answer.

The engine's own answers repeat or lose lines where a log is rotated while somebody follows it (seen with 20.10). Here a file is
read to its end, whatever it is called by then, before the next one is begun
(``docs/decisions/logs-are-read-from-their-files.md``).

Source: Docker's logging driver ``json-file``: ``ROOT/containers/ID/ID-json.log`` is written to, the same with ``.1`` is the one
before it, and so on. An entry is a line ``{"log": TEXT, "stream": NAME, "time": RFC 3339}``; TEXT without a line's end is a part
of a long line.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Executor
from pathlib import Path

import orjson

from moorage_agent.engine.contract import LogOptions
from moorage_agent.timestamps import seconds

PIECE = 256 * 1024
POLL = 0.1
"""Seconds between two looks at a log that is followed."""
_FRACTION = 9
MOST_FILES = 20


def file(root: Path, container: str) -> Path | None:
    """The file that a container's log is written to; None where it cannot be read here. Blocking."""
    newest = root / "containers" / container / f"{container}-json.log"
    return newest if os.access(newest, os.R_OK) else None


class LogFiles:
    """One container's log, from where ``options`` say. Blocking. Raises OSError where there is none to read."""

    def __init__(self, path: Path, options: LogOptions) -> None:
        self._path = path
        self._timestamps = options.timestamps
        self._since = options.since
        self._files: deque[int] = deque()
        self._rest = b""
        self._line_begins = True
        for descriptor in _open_all(path):
            self._files.appendleft(descriptor)
        if not self._files:
            raise FileNotFoundError(f"{path} is not there")
        if options.tail is not None:
            self._skip_to_tail(options.tail)

    def close(self) -> None:
        """Let go of the files."""
        while self._files:
            os.close(self._files.popleft())

    def read(self) -> bytes:
        """The next piece; b"" where nothing more is there for now."""
        while True:
            data = os.read(self._files[0], PIECE)
            if data:
                text = self._text(data)
                if text:
                    return text
                continue
            if len(self._files) == 1:
                self._find_newer()
                if len(self._files) == 1:
                    return b""
                continue  # what was written between the last look and the rotation
            os.close(self._files.popleft())

    def _find_newer(self) -> None:
        """After a rotation: the files that were begun since, in order."""
        own = os.fstat(self._files[0]).st_ino
        try:
            if os.stat(self._path).st_ino == own:
                return
        except FileNotFoundError:
            return  # between two steps of a rotation, or the container is being removed
        found = _open_all(self._path)
        inodes = [os.fstat(descriptor).st_ino for descriptor in found]
        newer = inodes.index(own) if own in inodes else len(found)
        self._files.extend(reversed(found[:newer]))
        for descriptor in found[newer:]:
            os.close(descriptor)

    def _text(self, data: bytes) -> bytes:
        """The entries of ``data`` as they are shown."""
        data = self._rest + data
        whole, _, self._rest = data.rpartition(b"\n")
        shown = []
        for line in whole.split(b"\n") if whole else ():
            try:
                entry = orjson.loads(line)
            except ValueError:
                continue  # torn by a machine that lost its power
            at, text = str(entry.get("time", "")), str(entry.get("log", ""))
            if self._since:
                if seconds(at) < self._since:
                    continue
                self._since = 0.0
            if self._timestamps and self._line_begins:
                shown.append(_padded(at) + " ")
            self._line_begins = text.endswith("\n")
            shown.append(text)
        return "".join(shown).encode("utf-8", "surrogatepass")

    def _skip_to_tail(self, entries: int) -> None:
        """Begin with the last ``entries`` entries: count line ends from the end backwards."""
        wanted = entries
        for index in range(len(self._files) - 1, -1, -1):
            descriptor = self._files[index]
            end = position = os.fstat(descriptor).st_size
            if not wanted:
                self._begin_at(index, end)
                return
            while position > 0:
                size = min(PIECE, position)
                position -= size
                block = os.pread(descriptor, size, position)
                last = len(block)
                if position + size == end:  # the end of the last entry begins none, and what is half written is none
                    last = max(0, block.rfind(b"\n"))
                found = block.count(b"\n", 0, last)
                if found >= wanted:
                    at = last
                    for _ in range(wanted):
                        at = block.rindex(b"\n", 0, at)
                    self._begin_at(index, position + at + 1)
                    return
                wanted -= found
            wanted -= 1 if end else 0
            if not wanted:
                self._begin_at(index, 0)
                return

    def _begin_at(self, index: int, position: int) -> None:
        for _ in range(index):
            os.close(self._files.popleft())
        os.lseek(self._files[0], position, os.SEEK_SET)


def _open_all(path: Path) -> list[int]:
    """The files of a log, newest first. One that is rotated meanwhile is met twice and opened once."""
    found: list[int] = []
    seen: set[int] = set()
    for number in range(MOST_FILES):
        try:
            descriptor = os.open(f"{path}.{number}" if number else path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        inode = os.fstat(descriptor).st_ino
        if inode in seen:
            os.close(descriptor)
            continue
        seen.add(inode)
        found.append(descriptor)
    return found


def _padded(at: str) -> str:
    """A time with nine digits of its second, as the kubelet shows it."""
    whole, _, fraction = at.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<{_FRACTION}}Z"


async def read(
    path: Path, options: LogOptions, files: Executor, ended: Callable[[], Awaitable[object]]
) -> AsyncGenerator[bytes, None]:
    """The log in pieces. Followed, it lasts until ``ended`` has returned and all is read. Raises OSError."""
    loop = asyncio.get_running_loop()
    log = await loop.run_in_executor(files, LogFiles, path, options)
    over = asyncio.ensure_future(ended()) if options.follow else None
    try:
        while True:
            done = over is None or over.done()
            piece = await loop.run_in_executor(files, log.read)
            if piece:
                yield piece
            elif done:
                return
            else:
                assert over is not None
                await asyncio.wait((over,), timeout=POLL)
    finally:
        if over is not None:
            over.cancel()
            await asyncio.gather(over, return_exceptions=True)
        log.close()
