"""Names of what a node's network makes in the kernel: other installations on this machine have others."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

FIRST_METRIC, FIRST_TUNNELS, TUNNELS_END = 0x100000, 4096, 1 << 24
"""Beyond what administrators choose by hand."""


class Names(NamedTuple):
    """``pods`` is how the names of the pods' interfaces begin, ``gateway`` the interface that has the node's own address,
    ``metric`` what marks this node's routes, ``tunnels`` the number that all tunnels of the cluster have: the kernel allows one
    of a number and port in a network, so the nodes of a cluster that share a machine share ``tunnel``.
    """

    table: str
    pods: str
    gateway: str
    tunnel: str
    metric: int
    tunnels: int

    def interface(self, uid: str) -> str:
        """The node's end of a pod's link (15 characters at most)."""
        return f"{self.pods}{hashlib.sha256(uid.encode()).hexdigest()[:8]}"


def names(cluster: str, node: str) -> Names:
    """The names of one node of one cluster."""
    mark = hashlib.sha256(f"{cluster}/{node}".encode()).hexdigest()[:5]
    tunnels = int.from_bytes(hashlib.sha256(cluster.encode()).digest()[:4], "big") % (TUNNELS_END - FIRST_TUNNELS)
    metric = FIRST_METRIC + int(mark, 16)
    tunnel = f"m{hashlib.sha256(cluster.encode()).hexdigest()[:5]}v"
    return Names(f"moorage-{mark}", f"m{mark}p", f"m{mark}g", tunnel, metric, FIRST_TUNNELS + tunnels)
