"""Finds the container or pod that a stream asks for. Refusals are Kubernetes Statuses with the kubelet's messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from moorage.client.tunnel import TunnelError
from moorage_agent.pods.observed import Attempt, Observed

Request = Mapping[str, Any]


class Pod(Protocol):
    """A pod as its worker knows it."""

    pod: Mapping[str, Any]

    def observe(self) -> Observed:
        """What is known of it now."""
        ...


Find = Callable[[str, str, str], Pod | None]
"""Gets namespace, name and uid ("" for any)."""

_PARTS = ("containers", "initContainers", "ephemeralContainers")


def refusal(code: int, reason: str, message: str) -> TunnelError:
    """A Kubernetes Status that ends the stream."""
    return TunnelError(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
    )


def pod_of(find: Find, request: Request) -> Pod:
    """The pod. Raises TunnelError 404."""
    found = find(request["namespace"], request["pod"], request.get("uid") or "")
    if found is None:
        raise refusal(404, "NotFound", f'pod "{request["pod"]}" is not known to this node (yet)')
    return found


def container_of(pod: Pod, request: Request) -> Mapping[str, Any]:
    """The container's spec. Raises TunnelError 400."""
    name, spec = request["container"], pod.pod["spec"]
    for part in _PARTS:
        for container in spec.get(part) or ():
            if container["name"] == name:
                found: Mapping[str, Any] = container
                return found
    raise refusal(400, "BadRequest", f"container {name} is not valid for pod {request['pod']}")


def running(find: Find, request: Request) -> tuple[Attempt, Mapping[str, Any]]:
    """The running start of a container, and its spec. Raises TunnelError."""
    pod = pod_of(find, request)
    container = container_of(pod, request)
    last = pod.observe().last(container["name"])
    if last is None or not last.running:
        message = f"container not found ({container['name']!r})".replace("'", '"')
        raise refusal(500, "InternalError", f"unable to upgrade connection: {message}")
    return last, container
