"""What every controller is given: client, shared caches, clock, settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.client.api import ApiClient
from moorage.client.informer import Informers

if TYPE_CHECKING:
    from moorage.controllers.certificates.authority import Authority


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the controllers; times in seconds. The defaults are kube-controller-manager's."""

    node_grace: float = 40.0
    """Silence after which a node counts as unreachable."""
    node_check: float = 5.0
    """Between two looks at all nodes."""
    pod_eviction: float | None = None
    """The most that a pod tolerates an unreachable or unready node, whatever its toleration says; None: as it says (300)."""
    eviction_interval: float = 10.0
    """Between two nodes that begin to lose their pods, so that an error of ours does not empty all at once."""
    node_gone_grace: float = 40.0
    """Before pods of a node that does not exist are removed."""
    terminated_pods: int = 12_500
    """Finished pods that are kept."""
    cluster_cidr: str = "10.244.0.0/16"
    """The network that nodes' ranges of pod addresses are cut from."""
    authority: Authority | None = None
    """What signs CertificateSigningRequests; None: they are not signed."""
    load_balancer_pool: Sequence[str] = ()
    """Networks whose addresses Services of type LoadBalancer get; without any, somebody else writes their status."""
    workers: int = 8
    """Keys that one controller works on at a time."""


@dataclass(frozen=True, slots=True)
class Context:
    """``clock`` is the wall clock (seconds since the epoch); durations are measured on the event loop's."""

    client: ApiClient
    informers: Informers
    options: Options = field(default_factory=Options)
    clock: Callable[[], float] = time.time
