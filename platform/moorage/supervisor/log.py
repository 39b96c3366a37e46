"""One readable log of all parts: ``time part LEVEL message``, rotated by size; and the same shape for a part run alone."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections import deque
from pathlib import Path

PART_VARIABLE = "MOORAGE_LOG"
"""Set to ``part`` by the supervisor: it adds time and name itself."""
FILE_BYTES = 16 * 1024 * 1024
FILES = 4
LONGEST_LINE = 16 * 1024
REMEMBERED = 15

_LEVEL = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) +(.*)")
_POSTGRES = re.compile(r"(LOG|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT|CONTEXT|NOTICE): +(.*)")
_POSTGRES_LEVELS = {"LOG": "INFO", "NOTICE": "INFO", "FATAL": "ERROR", "PANIC": "CRITICAL"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def configure(level: str = "INFO") -> None:
    """Log to stderr; below a supervisor without time, as it stamps each line itself."""
    below = os.environ.get(PART_VARIABLE) == "part"
    shape = "%(levelname)s %(message)s" if below else "%(asctime)s.%(msecs)03dZ %(levelname)-8s %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter(shape, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level.upper() == "INFO":
        # They tell of each plugin and connection.
        for name in ("alembic", "uvicorn", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.WARNING)


class LogFile:
    """The log's file. ``write`` never raises: a full disk must not stop what is logged about."""

    def __init__(self, path: Path, *, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        self._path = path
        self._file_bytes = file_bytes
        self._files = files
        self._descriptor = self._open()
        self._size = os.fstat(self._descriptor).st_size

    def write(self, line: str) -> None:
        """Append one line."""
        data = line.encode("utf-8", "replace") + b"\n"
        try:
            if self._size + len(data) > self._file_bytes:
                self._rotate()
            self._size += os.write(self._descriptor, data)
        except OSError:
            return

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(self._path.with_name(f"{self._path.name}.{number}"))
        os.close(self._descriptor)
        self._descriptor = self._open()
        self._size = 0


class PartLog:
    """Turns a part's output into lines of the log, and remembers the last ones for the message of a failed start."""

    def __init__(self, part: str, file: LogFile, *, echo: bool = False) -> None:
        self._part = part
        self._file = file
        self._echo = echo
        self._level = "INFO"
        self._rest = b""
        self.last: deque[str] = deque(maxlen=REMEMBERED)

    def feed(self, data: bytes) -> None:
        """Take output as it comes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.line(line.decode("utf-8", "replace"))
        if len(self._rest) > LONGEST_LINE:
            self.end()

    def end(self) -> None:
        """Take what has no line end yet."""
        rest, self._rest = self._rest, b""
        if rest:
            self.line(rest.decode("utf-8", "replace"))

    def line(self, text: str) -> None:
        """Write one line. What names no level continues the message before it (a traceback)."""
        text = _CONTROL.sub("", text.rstrip())[:LONGEST_LINE]
        if not text:
            return
        if match := _LEVEL.match(text):
            self._level, text = match.groups()
        elif match := _POSTGRES.match(text):
            self._level = _POSTGRES_LEVELS.get(match[1], match[1] if match[1] in {"WARNING", "ERROR"} else self._level)
            text = match[2]
        self.last.append(text)
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        whole = f"{stamp} {self._part:<12} {self._level:<8} {text}"
        self._file.write(whole)
        if self._echo:
            print(whole, flush=True)
