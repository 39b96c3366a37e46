"""Names and labels of containers: all that the agent must know of a container after a restart is written on it.

Nothing secret is ever put here: labels and names are shown to whoever may list containers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

Document = dict[str, Any]

PREFIX = "moorage.io/"
CLUSTER = PREFIX + "cluster-uid"
NODE = PREFIX + "node"
NODE_UID = PREFIX + "node-uid"
NAMESPACE = PREFIX + "pod-namespace"
POD = PREFIX + "pod-name"
POD_UID = PREFIX + "pod-uid"
CONTAINER = PREFIX + "container"
ATTEMPT = PREFIX + "attempt"
SANDBOX = PREFIX + "sandbox"
HASH = PREFIX + "spec-hash"
BACKOFF = PREFIX + "backoff"
GRACE = PREFIX + "grace"

SANDBOX_NAME = "POD"
"""Stands for the container's name on a sandbox; no container of a pod can have it (upper case)."""


class Owner(NamedTuple):
    """Whose containers these are. Sweeps match both: installations and nodes that share an engine never meet."""

    cluster: str
    node: str

    def labels(self) -> dict[str, str]:
        """The labels that every container of this node carries."""
        return {CLUSTER: self.cluster, NODE: self.node}


def spec_hash(container: Mapping[str, Any]) -> str:
    """Changes where a running container must be replaced: name and image, the only mutable part of a container.

    As the kubelet does since v1.31: a hash of the whole spec would restart every container when a new default appears.
    """
    return hashlib.sha256(orjson.dumps([container["name"], container.get("image", "")])).hexdigest()[:16]


def container_name(pod: Mapping[str, Any], container: str, attempt: int) -> str:
    """The engine's name of a container. Unique per pod, container and attempt: the engine itself refuses a second one."""
    metadata = pod["metadata"]
    return f"k8s_{container}_{metadata['name']}_{metadata['namespace']}_{metadata['uid']}_{attempt}"


def pod_labels(owner: Owner, node_uid: str, pod: Mapping[str, Any]) -> dict[str, str]:
    """Labels that all containers of a pod share."""
    metadata = pod["metadata"]
    grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
    return {
        **owner.labels(),
        NODE_UID: node_uid,
        NAMESPACE: metadata["namespace"],
        POD: metadata["name"],
        POD_UID: metadata["uid"],
        GRACE: str(grace),
    }
