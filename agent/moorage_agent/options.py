"""What an agent is told at its start."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

DOCKER = "unix:///var/run/docker.sock"


def host_node_name() -> str:
    """This host's name as a node's name: lower case, as RFC 1123 wants it."""
    return socket.gethostname().lower().rstrip(".") or "localhost"


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """How to run one node. Times are seconds.

    The credential is ``token`` or ``token_file``; it may be a join token, which also proves the server's CA where neither
    ``ca_file`` nor ``ca_pem`` is given.
    """

    server: str
    data_dir: Path
    node: str = field(default_factory=host_node_name)
    token: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None
    ca_pem: str = ""
    docker: str = DOCKER
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: Mapping[str, str] = field(default_factory=dict)
    """Amounts that replace what this machine has: ``cpu``, ``memory``, ``pods``, ``ephemeral-storage``."""
    resolv_conf: Path | None = None
    """What pods and the cluster's DNS ask for names of others; default: the machine's own."""
    static_pods: Path | None = None
    """A folder of manifests of pods that the node runs by itself."""
    address: str = ""
    """The node's address; default: the one that this machine uses towards the network."""
    engine_network: bool = False
    """Have pods on the engine's own bridge even where the kernel's network could be had."""
    cluster_uid: str = ""
    """Tells installations that share an engine apart; default: from the CA, kept in the data directory."""
    most_processes: int = 4096
    """Processes that a container may have."""
    lease_interval: float = 10.0
    lease_duration: int = 40
    status_interval: float = 300.0
    """Between two writes of an unchanged Node status."""
    health_interval: float = 10.0
    orphan_grace: float = 30.0
    eviction_hard: Mapping[str, str] = field(default_factory=dict)
    """What replaces the usual thresholds (``node/thresholds.py``), by signal: ``memory.available`` and so on."""
    pressure_transition: float = 300.0
    """For which a pressure is reported on after it was last there (``evictionPressureTransitionPeriod``)."""
    on_ready: Callable[[], None] | None = None
    """Called once, when the node is registered, recovered and Ready."""
