"""Who did what: a bounded file of JSON lines. Writes, refusals and reads of secrets; never contents.

A line is queued in memory and written by a thread, so that a request waits for no disk; where lines come faster than
they can be written, the file says how many are missing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage.api.contracts import Attributes, Decision
from moorage_tenants.authorisation.words import READ_VERBS

log = logging.getLogger(__name__)

QUEUED = 10_000
FILE_BYTES = 32 * 1024 * 1024
FILES = 4


class FileAuditor:
    """Implements ``moorage.api.contracts.Auditor``. Files are ``path``, ``path.1`` ... (newest first)."""

    def __init__(self, path: Path, *, file_bytes: int = FILE_BYTES) -> None:
        self._path = path
        self._file_bytes = file_bytes
        self._queue: deque[dict[str, Any]] = deque()
        self._missing = 0
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    def record(self, attributes: Attributes, decision: Decision, outcome: Mapping[str, Any]) -> None:
        """Queue one line; allowed reads of what is no secret leave none."""
        if decision.allowed and attributes.verb in READ_VERBS and attributes.resource != "secrets":
            return
        if len(self._queue) >= QUEUED:
            self._missing += 1
            return
        self._queue.append(_line(attributes, decision, outcome))
        self._wake.set()

    def close(self) -> None:
        """Write what is queued and stop."""
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=5)

    def _write_all(self) -> None:
        while not self._stop or self._queue:
            self._wake.wait()
            self._wake.clear()
            try:
                self._drain()
            except OSError as error:
                self._missing += len(self._queue)
                self._queue.clear()
                log.error("the audit file %s cannot be written: %s", self._path, error)

    def _drain(self) -> None:
        self._rotate()
        with self._path.open("a", encoding="utf-8") as file:
            self._path.chmod(0o600)
            if self._missing:
                file.write(json.dumps({"time": _text(time.time()), "missing": self._missing}) + "\n")
                self._missing = 0
            while self._queue:
                line = self._queue.popleft()
                file.write(json.dumps({**line, "time": _text(line["time"])}) + "\n")

    def _rotate(self) -> None:
        if not self._path.exists() or self._path.stat().st_size < self._file_bytes:
            return
        for number in range(FILES - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)


def _line(attributes: Attributes, decision: Decision, outcome: Mapping[str, Any]) -> dict[str, Any]:
    line = {
        "time": time.time(),
        "user": attributes.identity.name,
        "verb": attributes.verb,
        "group": attributes.group,
        "resource": attributes.resource,
        "subresource": attributes.subresource,
        "namespace": attributes.namespace,
        "name": attributes.name,
        "path": attributes.path,
        "allowed": decision.allowed,
        **{key: value for key, value in outcome.items() if isinstance(value, str | int | float | bool)},
    }
    return {key: value for key, value in line.items() if value != ""}


def _text(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
