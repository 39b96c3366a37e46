"""Environment variables that tell of Services, as containers of old expect them. Pure.

Source: Kubernetes' ``pkg/kubelet/envvars``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Document = Mapping[str, Any]
API = ("default", "kubernetes")


def variables(services: Iterable[Document], namespace: str, links: bool) -> dict[str, str]:
    """Those of the API's Service; with ``links`` those of the namespace's Services too, which win."""
    found: dict[str, str] = {}
    own: dict[str, str] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        address = spec.get("clusterIP")
        if not address or address == "None" or not spec.get("ports"):
            continue
        if (metadata["namespace"], metadata["name"]) == API:
            found |= _of(service, address)
        if links and metadata["namespace"] == namespace:
            own |= _of(service, address)
    return {**found, **own}


def _of(service: Document, address: str) -> dict[str, str]:
    name = service["metadata"]["name"].upper().replace("-", "_")
    ports = service["spec"]["ports"]
    result = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            result[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol, number = (port.get("protocol") or "TCP"), port["port"]
        host = f"[{address}]" if ":" in address else address
        url = f"{protocol.lower()}://{host}:{number}"
        if index == 0:
            result[f"{name}_PORT"] = url
        prefix = f"{name}_PORT_{number}_{protocol.upper()}"
        result |= {
            prefix: url,
            f"{prefix}_PROTO": protocol.lower(),
            f"{prefix}_PORT": str(number),
            f"{prefix}_ADDR": address,
        }
    return result
