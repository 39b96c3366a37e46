"""Services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.core.service_defaults import default, prepare_create, prepare_update
from moorage.resources.core.service_rules import service_errors, status_errors, update_errors
from moorage.resources.declaring import CORE, PROXIED, by_name, status_of
from moorage.resources.kind import Column, Document, GroupVersionKind, Kind, ResourceKey, Subresource
from moorage.resources.printing import AGE, NAME, NONE, UNKNOWN, at, labels, text


def _cluster_ip(service: Document, _now: float) -> Any:
    addresses = at(service, "spec.clusterIPs", ())
    return (addresses[0] if addresses else at(service, "spec.clusterIP")) or NONE


def _external_ip(service: Document, _now: float) -> Any:
    kind, external = at(service, "spec.type"), list(at(service, "spec.externalIPs", ()))
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(external) or NONE
    if kind == "LoadBalancer":
        ingress = at(service, "status.loadBalancer.ingress", ())
        given = sorted({each.get("ip") or each.get("hostname", "") for each in ingress} - {""})
        return ",".join(given + external) or "<pending>"
    return at(service, "spec.externalName") if kind == "ExternalName" else UNKNOWN


def _port(port: Mapping[str, Any]) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}"


def _ports(service: Document, _now: float) -> Any:
    return ",".join(map(_port, at(service, "spec.ports", ()))) or NONE


def _selector(service: Document, _now: float) -> Any:
    return labels(at(service, "spec.selector", None))


def _fields(service: Document) -> Mapping[str, str]:
    return {"spec.clusterIP": at(service, "spec.clusterIP"), "spec.type": at(service, "spec.type")}


SERVICE = Kind(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    singular="service",
    namespaced=True,
    schema=f"{CORE}.Service",
    short_names=("svc",),
    categories=("all",),
    storage=ResourceKey("", "services"),
    allow_create_on_update=True,
    name_rule=names.dns_1035_label,
    subresources=by_name(
        (
            status_of("", "v1", "Service"),
            Subresource("proxy", GroupVersionKind("", "v1", "ServiceProxyOptions"), PROXIED),
        )
    ),
    columns=(
        NAME,
        Column("Type", text("spec.type"), description="How the service is exposed."),
        Column("Cluster-IP", _cluster_ip, description="The service's address in the cluster."),
        Column("External-IP", _external_ip, description="Addresses outside of the cluster that lead to the service."),
        Column("Port(s)", _ports, description="The ports that the service exposes."),
        AGE,
        Column("Selector", _selector, priority=1, description="Labels of the pods that traffic is sent to."),
    ),
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=service_errors,
    validate_update=update_errors,
    validate_status_update=status_errors,
    fields=_fields,
)
