"""Names of what a node's network makes in the kernel: other installations on this machine have others."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Names(NamedTuple):
    """``pods`` is how the names of the pods' interfaces begin, ``gateway`` the interface that has the node's own address."""

    table: str
    pods: str
    gateway: str
    tunnel: str

    def interface(self, uid: str) -> str:
        """The node's end of a pod's link (15 characters at most)."""
        return f"{self.pods}{hashlib.sha256(uid.encode()).hexdigest()[:8]}"


def names(cluster: str, node: str) -> Names:
    """The names of one node of one cluster."""
    mark = hashlib.sha256(f"{cluster}/{node}".encode()).hexdigest()[:4]
    return Names(f"moorage-{mark}", f"m{mark}p", f"m{mark}g", f"m{mark}v")
