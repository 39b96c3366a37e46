"""Nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.core.node_rules import default, node_errors, update_errors
from moorage.resources.declaring import CORE, PROXIED, by_name, status_of
from moorage.resources.kind import Column, Document, GroupVersionKind, Kind, ResourceKey, Subresource
from moorage.resources.printing import AGE, NAME, NONE, UNKNOWN, at, text

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _status(node: Document, _now: float) -> Any:
    ready = next((each for each in at(node, "status.conditions", ()) if each.get("type") == "Ready"), None)
    word = "Unknown"
    if ready is not None:
        word = "Ready" if ready.get("status") == "True" else "NotReady"
    if at(node, "spec.unschedulable", False):
        word += ",SchedulingDisabled"
    return word


def roles(node: Document) -> list[str]:
    """Roles of a node, from its labels, sorted."""
    found = set()
    for key, value in at(node, "metadata.labels", {}).items():
        if key.startswith(_ROLE_PREFIX) and (role := key.removeprefix(_ROLE_PREFIX)):
            found.add(role)
        elif key == _ROLE_LABEL and value:
            found.add(value)
    return sorted(found)


def _roles(node: Document, _now: float) -> Any:
    return ",".join(roles(node)) or NONE


def address(node: Document, kind: str) -> str:
    """The node's first address of a kind (``InternalIP``), or "" where it has none."""
    for each in at(node, "status.addresses", ()):
        if each.get("type") == kind:
            return str(each.get("address", ""))
    return ""


def _address(kind: str) -> Any:
    return lambda node, _now: address(node, kind) or NONE


def _fields(node: Document) -> Mapping[str, str]:
    return {"spec.unschedulable": "true" if at(node, "spec.unschedulable", False) else "false"}


def _info(name: str, absent: str = UNKNOWN) -> Any:
    return text(f"status.nodeInfo.{name}", absent)


NODE = Kind(
    group="",
    version="v1",
    kind="Node",
    plural="nodes",
    singular="node",
    namespaced=False,
    schema=f"{CORE}.Node",
    short_names=("no",),
    storage=ResourceKey("", "nodes"),
    status_on_create=True,
    name_rule=names.dns_subdomain,
    subresources=by_name(
        (status_of("", "v1", "Node"), Subresource("proxy", GroupVersionKind("", "v1", "NodeProxyOptions"), PROXIED))
    ),
    columns=(
        NAME,
        Column("Status", _status, description="The status of the node"),
        Column("Roles", _roles, description="The roles of the node"),
        AGE,
        Column("Version", _info("kubeletVersion", ""), description="Version that the node reports."),
        Column("Internal-IP", _address("InternalIP"), priority=1, description="The node's address in the cluster."),
        Column("External-IP", _address("ExternalIP"), priority=1, description="The node's address outside."),
        Column("OS-Image", _info("osImage"), priority=1, description="Operating system that the node reports."),
        Column("Kernel-Version", _info("kernelVersion"), priority=1, description="Kernel that the node reports."),
        Column(
            "Container-Runtime",
            _info("containerRuntimeVersion"),
            priority=1,
            description="Container runtime that the node reports.",
        ),
    ),
    default=default,
    validate=node_errors,
    validate_update=update_errors,
    validate_status_update=update_errors,
    fields=_fields,
)
