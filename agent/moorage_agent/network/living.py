"""Which process holds the network of each pod, so that a link that somebody took away can be made again. Reads ``/proc`` only."""

from __future__ import annotations

import os


class Living:
    """Sandboxes by their pods' uids. A process number that another process has meanwhile is told by its network."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str]] = {}

    def note(self, uid: str, pid: int) -> None:
        """A pod's sandbox was connected."""
        network = _network(pid)
        if network:
            self._known[uid] = pid, network

    def drop(self, uid: str) -> None:
        """The pod or its sandbox is gone."""
        self._known.pop(uid, None)

    def pid(self, uid: str) -> int:
        """The process that still holds the pod's network; 0 for none."""
        pid, network = self._known.get(uid, (0, ""))
        return pid if pid and _network(pid) == network else 0


def _network(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""
