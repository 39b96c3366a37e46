"""What a pod asks of a node: resources, host ports.

Source: the scheduler's ``GetNonzeroRequests``; what a pod asks for is counted in ``moorage.resources.core.pods.amounts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from moorage.resources.core.pods.amounts import in_units, pod_amounts

Amounts = dict[str, int]
"""Integers by resource: cpu in millicores, everything else in units (bytes, counts)."""

DEFAULT_CPU = 100
DEFAULT_MEMORY = 200 * 2**20
"""What a container that asks for nothing counts as in scores, so that such pods spread too."""


class HostPort(NamedTuple):
    """A port that a pod takes on its node. ``ip`` "0.0.0.0" is every address."""

    ip: str
    protocol: str
    port: int

    def clashes(self, other: HostPort) -> bool:
        """Whether both cannot be on one node."""
        same = (self.protocol, self.port) == (other.protocol, other.port)
        return same and (self.ip == other.ip or "0.0.0.0" in (self.ip, other.ip))  # noqa: S104 - compared, not bound


def amounts(texts: Mapping[str, object] | None) -> Amounts:
    """A ``requests`` or ``allocatable`` map as integers."""
    return in_units({name: str(text) for name, text in (texts or {}).items()})


def pod_requests(spec: Mapping[str, Any]) -> Amounts:
    """The most that the pod needs at any time, as quotas count it too; nothing is left out that is more than 0."""
    return {name: amount for name, amount in pod_amounts(spec).items() if amount}


def scoring_requests(spec: Mapping[str, Any]) -> tuple[int, int]:
    """cpu (millicores) and memory (bytes) with defaults for containers that name none."""
    cpu = memory = 0
    for container in spec.get("containers") or ():
        needs = _requests(container)
        cpu += needs.get("cpu", DEFAULT_CPU)
        memory += needs.get("memory", DEFAULT_MEMORY)
    return cpu, memory


def host_ports(spec: Mapping[str, Any]) -> tuple[HostPort, ...]:
    """The host ports of all containers that run for the pod's whole life."""
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    return tuple(
        HostPort(port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(port["hostPort"]))  # noqa: S104
        for container in (*(spec.get("containers") or ()), *sidecars)
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _requests(container: Mapping[str, Any]) -> Amounts:
    return amounts((container.get("resources") or {}).get("requests"))
