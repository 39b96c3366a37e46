"""Which flows of UDP Services are still right, and the moment to look: after the rules that lead elsewhere are loaded."""

from __future__ import annotations

import logging
import socket
from collections.abc import Hashable
from ipaddress import IPv4Address

from moorage_agent.network import conntrack
from moorage_agent.network.conntrack import Point, Targets

log = logging.getLogger(__name__)


class Flows:
    """Targets by Service. ``clean`` runs on the network's thread, the rest in the event loop."""

    def __init__(self) -> None:
        self._targets: dict[Hashable, Targets] = {}
        self._changed = False

    def put(self, key: Hashable, targets: Targets) -> None:
        """Where the points of one Service may lead to from now on; points without a target are left to the rules."""
        old = self._targets.get(key, {})
        if targets:
            self._targets[key] = targets
        else:
            self._targets.pop(key, None)
        if old != targets:
            self._changed = True

    def take(self) -> Targets | None:
        """All targets where any changed since the last time, else None."""
        if not self._changed:
            return None
        self._changed = False
        every: dict[Point, frozenset[Point]] = {}
        for targets in self._targets.values():
            every |= targets
        return every

    def again(self) -> None:
        """What was taken was not used."""
        self._changed = True


def clean(targets: Targets) -> None:
    """Forget what leads elsewhere. Blocking. Raises OSError."""
    number = conntrack.forget(targets, _is_local)
    if number:
        log.info("%d UDP flows to pods that are gone were forgotten", number)


def _is_local(address: str) -> bool:
    """Whether an address is one of this machine (the kernel binds to no other)."""
    if IPv4Address(address).is_multicast:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
