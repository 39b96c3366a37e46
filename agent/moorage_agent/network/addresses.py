"""Which pod has which address, kept in a file: an agent that comes back finds what it gave. Blocking."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

FIRST = 2
"""Offset of the first pod's address; the one before is the node's."""


class NoAddress(Exception):
    """Every address of the node's network is taken."""


@dataclass(slots=True)
class Lease:
    """A pod's address. ``host_ports`` are (protocol, host port, container port, host address)."""

    address: str
    sandbox: str
    interface: str
    host_ports: Sequence[Sequence[Any]] = ()


@dataclass(slots=True)
class Addresses:
    """Leases by pod uid, on the network ``pods`` ("" while it is not known)."""

    file: Path
    pods: str = ""
    leases: dict[str, Lease] = field(default_factory=dict)
    last: int = FIRST - 1

    @classmethod
    def load(cls, file: Path) -> Addresses:
        """As saved; empty where nothing was, or where the file is broken (what runs is then connected anew)."""
        result = cls(file)
        try:
            known = json.loads(file.read_text("utf-8"))
            result.leases = {uid: Lease(**lease) for uid, lease in known["leases"].items()}
            result.pods, result.last = str(known["pods"]), int(known["last"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(file)
        return result

    def save(self) -> None:
        """Write the file, whole or not at all. Raises OSError."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        leases = {uid: asdict(lease) for uid, lease in self.leases.items()}
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps({"pods": self.pods, "last": self.last, "leases": leases}), "utf-8")
        os.replace(draft, self.file)

    def use(self, pods: IPv4Network) -> None:
        """Give addresses of this network from now on."""
        if self.pods != str(pods):
            self.pods, self.last = str(pods), FIRST - 1

    def choose(self) -> str:
        """A free address, the one that was free for longest. Raises NoAddress."""
        network = IPv4Network(self.pods)
        taken = {lease.address for lease in self.leases.values()}
        size = network.num_addresses - 1
        for step in range(1, size):
            offset = FIRST + (self.last - FIRST + step) % (size - FIRST)
            address = str(network.network_address + offset)
            if address not in taken:
                self.last = offset
                return address
        raise NoAddress(f"all addresses of {network} are taken by {len(taken)} pods")

    def gateway(self) -> IPv4Address:
        """The node's own address among its pods'."""
        return IPv4Network(self.pods).network_address + 1

    def of_sandbox(self, identity: str) -> str:
        """The address of a sandbox, or ""."""
        return next((lease.address for lease in self.leases.values() if lease.sandbox == identity), "")

    def keep(self, sandboxes: Iterable[str]) -> list[Lease]:
        """Forget the leases of all other sandboxes; returns those."""
        living = set(sandboxes)
        gone = {uid: lease for uid, lease in self.leases.items() if lease.sandbox not in living}
        for uid in gone:
            del self.leases[uid]
        return list(gone.values())
