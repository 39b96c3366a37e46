"""``run/supervisor.json``: what runs, for ``moorage status`` and ``down``, and for the next start after a crash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moorage.supervisor.process_table import ProcessId, boot_id


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One part. ``state``: starting, ready, restarting, stopped. ``since`` is seconds since the epoch."""

    name: str
    state: str
    pid: int
    started: int
    restarts: int
    since: float

    @property
    def process(self) -> ProcessId:
        """Which process that is or was."""
        return ProcessId(self.pid, self.started)


@dataclass(frozen=True, slots=True)
class Record:
    """An installation's processes. ``version`` is Moorage's."""

    supervisor: ProcessId
    listen: str
    version: str
    parts: Sequence[PartRecord]

    def write(self, path: Path) -> None:
        """Replace the file whole."""
        document = {
            "boot": boot_id(),
            "supervisor": asdict(self.supervisor),
            "listen": self.listen,
            "version": self.version,
            "parts": [asdict(part) for part in self.parts],
        }
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        draft.replace(path)


def read(path: Path) -> Record | None:
    """The record, or None where there is none, it cannot be read, or it is of another boot (then nothing runs)."""
    try:
        document: Any = json.loads(path.read_text("utf-8"))
        if document["boot"] != boot_id():
            return None
        return Record(
            supervisor=ProcessId(**document["supervisor"]),
            listen=str(document["listen"]),
            version=str(document["version"]),
            parts=[PartRecord(**part) for part in document["parts"]],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
