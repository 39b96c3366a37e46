"""Which port of which pod is meant. A pod is always one of the request's own namespace, and is reached as that pod.

Addresses in Endpoints, EndpointSlices and ``externalName`` are never dialled: an endpoint counts only where it refers to a pod
that is there and has its address. Source: ``ResourceLocation`` in pkg/registry/core/pod/strategy.go and
pkg/registry/core/service/storage/storage.go.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from moorage.api.errors import ApiError, bad_request, not_found
from moorage.api.freshness import fresh
from moorage.api.proxying.names import Target, number, parse
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.resources.kind import Document, ResourceKey

SERVICE_NAME = "kubernetes.io/service-name"
PODS, SLICES = ResourceKey("", "pods"), ResourceKey("discovery.k8s.io", "endpointslices")
_DEFAULT_PORTS = {"http": 80, "https": 443}

FindPod = Callable[[str], Document | None]


class Place(NamedTuple):
    """A port of a pod, and how to speak there. ``address`` is what the pod's own links may call it."""

    scheme: str
    pod: Document
    port: int

    @property
    def address(self) -> str:
        """``IP:PORT``."""
        return f"{(self.pod.get('status') or {}).get('podIP', '')}:{self.port}"


async def find(service: Service, request: Request) -> Place:
    """Where a request goes. Raises ApiError 400 for names and ports that make no sense, 404, and 503 without an endpoint."""
    kind = request.kind
    target = parse(kind.singular, request.name)
    entry = (await fresh(service.store, kind.storage)).get(request.namespace, target.name)
    if entry is None:
        raise not_found(kind.group, kind.plural, target.name)
    if kind.plural == "pods":
        return of_pod(entry.document(), target)
    pods = await fresh(service.store, PODS)
    slices = await fresh(service.store, SLICES)

    def find_pod(name: str) -> Document | None:
        found = pods.get(request.namespace, name)
        return None if found is None else found.document()

    documents = (each.document() for each in slices.entries(request.namespace))
    return of_service(entry.document(), target, request.name, documents, find_pod)


def of_pod(pod: Document, target: Target) -> Place:
    """A port of ``pod``: the one that was asked for, its first, or that of the scheme. Raises ApiError 400."""
    if target.port:
        port = number(target.port)
        if port is None:
            raise bad_request(f'invalid pod request: "{target.port}" is not a port number')
        return Place(target.scheme, pod, port)
    containers = (pod.get("spec") or {}).get("containers") or ()
    declared = (int(port["containerPort"]) for each in containers for port in each.get("ports") or ())
    return Place(target.scheme, pod, next(declared, _DEFAULT_PORTS[target.scheme]))


def of_service(service: Document, target: Target, asked: str, slices: Iterable[Document], find_pod: FindPod) -> Place:
    """An endpoint of ``service`` by chance. ``slices`` are those of the namespace. Raises ApiError 503."""
    name = _port_name(service, target)
    found = [
        place
        for each in slices
        if (each["metadata"].get("labels") or {}).get(SERVICE_NAME) == target.name
        for place in _places(each, name, target.scheme, find_pod, service["metadata"]["namespace"])
    ]
    if not found:
        raise no_endpoints(asked)
    return secrets.choice(found)


def no_endpoints(asked: str) -> ApiError:
    """503 with Kubernetes' text; without Retry-After, which clients would follow by themselves."""
    return ApiError(503, f'no endpoints available for service "{asked}"')


def _port_name(service: Document, target: Target) -> str:
    """The name of the service's port that is meant; a number is looked up among its ports."""
    wanted = number(target.port)
    if wanted is None:
        return target.port
    for port in (service.get("spec") or {}).get("ports") or ():
        if port.get("port") == wanted:
            return str(port.get("name") or "")
    raise ApiError(503, f'no service port {wanted} found for service "{target.name}"')


def _places(piece: Document, port_name: str, scheme: str, find_pod: FindPod, namespace: str) -> Iterator[Place]:
    for port in piece.get("ports") or ():
        if (port.get("name") or "") != port_name or not port.get("port") or port.get("protocol", "TCP") != "TCP":
            continue
        for endpoint in piece.get("endpoints") or ():
            pod = _pod_of(endpoint, find_pod, namespace)
            if pod is not None:
                yield Place(scheme, pod, int(port["port"]))


def _pod_of(endpoint: dict[str, Any], find_pod: FindPod, namespace: str) -> Document | None:
    """The pod behind an endpoint: one of this namespace that has every address that the endpoint claims."""
    reference = endpoint.get("targetRef") or {}
    if (endpoint.get("conditions") or {}).get("ready") is False or reference.get("kind") != "Pod":
        return None
    if reference.get("namespace") != namespace:
        return None
    pod = find_pod(str(reference.get("name", "")))
    if pod is None or reference.get("uid") not in (None, "", pod["metadata"]["uid"]):
        return None
    held = {each.get("ip") for each in (pod.get("status") or {}).get("podIPs") or ()}
    addresses = set(endpoint.get("addresses") or ())
    return pod if addresses and addresses <= held else None
