"""The downward API: fields of a pod and resources of its containers as text. Pure. Source: API reference, ObjectFieldSelector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from moorage_agent.pods.quantities import amount

Pod = Mapping[str, Any]

_KEYED = re.compile(r"metadata\.(annotations|labels)\['([^']+)'\]")


class Facts(NamedTuple):
    """What is known only on the node: addresses, the node's name, and what it can allocate (cores, bytes)."""

    node: str = ""
    host_ip: str = ""
    pod_ip: str = ""
    cpu: float = 0.0
    memory: int = 0
    storage: int = 0


def field(pod: Pod, path: str, facts: Facts) -> str:
    """The value of ``fieldPath``. Raises ValueError for one that is not supported."""
    metadata = pod["metadata"]
    keyed = _KEYED.fullmatch(path)
    if keyed:
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": facts.node,
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
    }
    if path in simple:
        return str(simple[path])
    if path in ("metadata.labels", "metadata.annotations"):
        entries = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f"{name}={_quoted(value)}" for name, value in sorted(entries.items()))
    raise ValueError(f"unsupported fieldPath: {path}")


def resource(pod: Pod, selector: Mapping[str, Any], container: Mapping[str, Any] | None, facts: Facts) -> str:
    """The value of a ``resourceFieldRef``, divided by its divisor and rounded up; a limit not set is what the node has.

    ``container`` is the one that asks; a volume names one by ``containerName``. Raises ValueError.
    """
    name = selector.get("containerName")
    if name:
        spec = pod["spec"]
        every = [*spec["containers"], *(spec.get("initContainers") or ())]
        container = next((one for one in every if one["name"] == name), None)
    if container is None:
        raise ValueError(f"container {name} not found")
    kind, _, what = selector["resource"].partition(".")
    own, whole = container.get("resources") or {}, pod["spec"].get("resources") or {}
    value = (own.get(kind) or {}).get(what)
    if value is None and kind == "limits":
        value = (whole.get(kind) or {}).get(what)
    if value is not None:
        number = amount(str(value))
    else:
        capacity = {"cpu": facts.cpu, "memory": facts.memory, "ephemeral-storage": facts.storage}
        number = float(capacity.get(what, 0)) if kind == "limits" else 0.0
    divisor = amount(str(selector.get("divisor") or "1")) or 1.0
    return str(-int(-(number / divisor) // 1))


def _quoted(text: str) -> str:
    """As Go's ``%q``."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(one, one) for one in text) + '"'
