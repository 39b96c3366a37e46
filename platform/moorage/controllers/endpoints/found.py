"""What a Service's pods offer: one value for each pod, with the ports that it has. Pure.

Source: Kubernetes' ``pkg/controller/util/endpoint`` and ``pkg/api/v1/pod.FindPort``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from moorage.client.objects import Document, is_deleting
from moorage.controllers.pods import FINISHED, is_ready, phase

ZONE = "topology.kubernetes.io/zone"


class Port(NamedTuple):
    """A port of an endpoint. ``protocol`` is upper case; ``app`` is the application protocol or ""."""

    name: str
    number: int
    protocol: str
    app: str = ""

    def document(self) -> Document:
        """As EndpointSlices and Endpoints have it."""
        result: Document = {"name": self.name, "port": self.number, "protocol": self.protocol}
        if self.app:
            result["appProtocol"] = self.app
        return result


@dataclass(frozen=True, slots=True)
class Found:
    """One pod behind a Service."""

    address: str
    ports: tuple[Port, ...]
    ready: bool
    serving: bool
    terminating: bool
    node: str
    zone: str
    hostname: str
    target: tuple[str, str, str]
    """Namespace, name and uid of the pod."""

    def reference(self) -> Document:
        """``targetRef``."""
        namespace, name, uid = self.target
        return {"kind": "Pod", "namespace": namespace, "name": name, "uid": uid}


def is_headless(service: Document) -> bool:
    """Whether the Service has no address of its own by choice."""
    return bool(service["spec"].get("clusterIP") == "None")


def selects(service: Document, labels: Mapping[str, str] | None) -> bool:
    """Whether the Service has a selector and a pod with ``labels`` matches it."""
    selector: Mapping[str, str] = service["spec"].get("selector") or {}
    have = labels or {}
    return bool(selector) and all(have.get(key) == value for key, value in selector.items())


def managed(service: Document) -> bool:
    """Whether the platform keeps the Service's endpoints."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def look(service: Document, pods: Iterable[Document], zones: Mapping[str, str]) -> list[Found]:
    """The pods that belong to the Service's endpoints, ordered by address. ``zones`` has each node's zone."""
    wanted = [_found(service, pod, zones) for pod in pods if _belongs(service, pod)]
    wanted.sort(key=lambda each: (each.address, each.target))
    return wanted


def _belongs(service: Document, pod: Document) -> bool:
    same = pod["metadata"].get("namespace") == service["metadata"].get("namespace")
    if not same or not selects(service, pod["metadata"].get("labels")):
        return False
    return phase(pod) not in FINISHED and bool((pod.get("status") or {}).get("podIP"))


def _found(service: Document, pod: Document, zones: Mapping[str, str]) -> Found:
    spec, metadata = pod["spec"], pod["metadata"]
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    terminating = is_deleting(pod)
    serving = is_ready(pod)
    hostname = spec.get("hostname") or ""
    if spec.get("subdomain") != service["metadata"]["name"]:
        hostname = ""
    node = str(spec.get("nodeName") or "")
    return Found(
        address=pod["status"]["podIP"],
        ports=ports(service, pod),
        # Never of one that ends, except where the Service asks for every pod whatever its state.
        ready=publish or (serving and not terminating),
        serving=serving,
        terminating=terminating,
        node=node,
        zone=zones.get(node, ""),
        hostname=hostname,
        target=(metadata["namespace"], metadata["name"], metadata["uid"]),
    )


def ports(service: Document, pod: Document) -> tuple[Port, ...]:
    """The Service's ports as this pod has them. A port by a name that the pod does not have is left out."""
    result = []
    for port in service["spec"].get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        number = find_port(pod, port.get("targetPort", port["port"]), protocol)
        if number is not None:
            result.append(Port(port.get("name") or "", number, protocol, port.get("appProtocol") or ""))
    return tuple(result)


def find_port(pod: Document, target: int | str, protocol: str) -> int | None:
    """The number behind a target port; a name is looked up among the containers that go on running."""
    if isinstance(target, int) or target.isdigit():
        return int(target)
    for container in _lasting(pod):
        for port in container.get("ports") or ():
            if port.get("name") == target and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _lasting(pod: Document) -> Sequence[Mapping[str, Any]]:
    sidecars = [each for each in pod["spec"].get("initContainers") or () if each.get("restartPolicy") == "Always"]
    return [*pod["spec"].get("containers", ()), *sidecars]
