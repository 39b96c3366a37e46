"""Defaults of services, and what a change of type drops or keeps. Source: "Service", "IPv4/IPv6 dual-stack"."""

from __future__ import annotations

from typing import Any

from moorage.resources.kind import Document

AFFINITY_SECONDS = 10800
WITH_PORTS_ON_NODES = ("NodePort", "LoadBalancer")
_INTERNAL = ("ClusterIP", "NodePort", "LoadBalancer")
_LOAD_BALANCER_FIELDS = (
    "allocateLoadBalancerNodePorts",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
)


def is_external(spec: dict[str, Any]) -> bool:
    """Whether traffic from outside of the cluster can reach the service."""
    kind = spec.get("type")
    return kind in WITH_PORTS_ON_NODES or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def checks_health(spec: dict[str, Any]) -> bool:
    """Whether load balancers ask nodes for the health of the service's endpoints there."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _default_affinity(spec: dict[str, Any]) -> None:
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}}


def default(service: Document) -> None:
    """Fill in a service, in place."""
    spec = service.setdefault("spec", {})
    _default_affinity(spec)
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    if spec.get("externalName") == "":
        # An update takes the name away by an empty one.
        del spec["externalName"]
    for port in spec.get("ports", ()):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if port.get("targetPort", 0) in (0, "") and "port" in port:
            port["targetPort"] = port["port"]
    if is_external(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in _INTERNAL and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    if spec["type"] == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        for ingress in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress", ()):
            if ingress.get("ip") and "ipMode" not in ingress:
                ingress["ipMode"] = "VIP"


def _default_families(spec: dict[str, Any]) -> None:
    if spec["type"] == "ExternalName":
        return
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv6" if ":" in spec.get("clusterIP", "") else "IPv4"]


def prepare_create(service: Document) -> None:
    """Say the first address in both of its fields, name the address families, start without a load balancer."""
    spec = service["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    _default_families(spec)
    service["status"] = {"loadBalancer": {}}


def _keep_allocated(new: dict[str, Any], old: dict[str, Any]) -> None:
    """What the platform had assigned stays where the update does not mention it."""
    if old["type"] != "ExternalName" and new["type"] != "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if name in old and not new.get(name):
                new[name] = old[name]
    if new["type"] in WITH_PORTS_ON_NODES and old["type"] in WITH_PORTS_ON_NODES:
        known = {(each.get("protocol"), each.get("port")): each.get("nodePort") for each in old.get("ports", ())}
        for port in new.get("ports", ()):
            node_port = known.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and node_port:
                port["nodePort"] = node_port
        if old.get("healthCheckNodePort") and not new.get("healthCheckNodePort") and checks_health(new):
            new["healthCheckNodePort"] = old["healthCheckNodePort"]


def _drop_outdated(new: dict[str, Any], old: dict[str, Any]) -> None:
    """What the old type needed and the new one cannot have goes, unless the update set it anew."""
    if not checks_health(new) and new.get("healthCheckNodePort") == old.get("healthCheckNodePort"):
        new.pop("healthCheckNodePort", None)
    if new["type"] == old["type"]:
        return
    if new["type"] == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if new.get(name) == old.get(name):
                new.pop(name, None)
    if new["type"] not in WITH_PORTS_ON_NODES:
        before = {each.get("nodePort") for each in old.get("ports", ())}
        for port in new.get("ports", ()):
            if port.get("nodePort") in before:
                port.pop("nodePort", None)
    if old["type"] == "LoadBalancer":
        for name in _LOAD_BALANCER_FIELDS:
            if new.get(name) == old.get(name):
                new.pop(name, None)
    if not is_external(new) and new.get("externalTrafficPolicy") == old.get("externalTrafficPolicy"):
        new.pop("externalTrafficPolicy", None)


def prepare_update(new: Document, old: Document) -> None:
    """Carry over what was assigned, drop what a new type cannot have, keep both fields of the address alike."""
    after, before = new["spec"], old.get("spec") or {}
    before = {"type": "ClusterIP", **before}
    if after.get("clusterIP") != before.get("clusterIP") and after.get("clusterIPs") == before.get("clusterIPs"):
        if after.get("clusterIP"):
            after["clusterIPs"] = [after["clusterIP"]]
        else:
            after.pop("clusterIPs", None)
    _keep_allocated(after, before)
    _drop_outdated(after, before)
    _default_families(after)
