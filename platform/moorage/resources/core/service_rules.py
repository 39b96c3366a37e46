"""Rules of services: ports, addresses, and what each type needs or forbids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import check_cidr, check_ip, check_not_special, parse_ip
from moorage.resources.checks import PROTOCOLS, Errors, check_choice, check_name, check_port, check_port_number
from moorage.resources.core.service_defaults import is_external
from moorage.resources.field_errors import duplicate, forbidden, invalid, not_supported, required
from moorage.resources.kind import Document, FieldError
from moorage.resources.label_selector import label_errors
from moorage.resources.metadata import metadata_errors, metadata_update_errors

Part = Mapping[str, Any]

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_POLICIES = ("Cluster", "Local")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_NODE_PORTS = (30000, 32767)
_DAY = 86400
_SET = "may not change once set"


def is_headless(spec: Part) -> bool:
    """Without an address of its own: names resolve to the pods."""
    addresses = spec.get("clusterIPs")
    return list(addresses) == ["None"] if addresses else spec.get("clusterIP") == "None"


def _check_type(errors: Errors, spec: Part) -> None:
    kind = spec.get("type")
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        errors.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services"))
    if kind != "ExternalName":
        return
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            errors.append(forbidden(f"spec.{name}", "may not be set for ExternalName services"))
    target = spec.get("externalName", "").removesuffix(".")
    if not target:
        errors.append(required("spec.externalName"))
    else:
        check_name(errors, "spec.externalName", target, names.dns_subdomain)


def _check_ports(errors: Errors, ports: Sequence[Part]) -> None:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here, name = f"spec.ports[{index}]", port.get("name", "")
        if name:
            check_name(errors, f"{here}.name", name, names.dns_label)
            if name in seen:
                errors.append(duplicate(f"{here}.name", name))
            seen.add(name)
        elif len(ports) > 1:
            errors.append(required(f"{here}.name"))
        check_port_number(errors, f"{here}.port", port.get("port", 0))
        check_choice(errors, f"{here}.protocol", port.get("protocol"), PROTOCOLS)
        check_port(errors, f"{here}.targetPort", port.get("targetPort", 0))
        if "appProtocol" in port:
            check_name(errors, f"{here}.appProtocol", port["appProtocol"], names.qualified_name)


def _check_node_ports(errors: Errors, spec: Part) -> None:
    ports: Sequence[Part] = spec.get("ports", ())
    node_ports: set[tuple[str, int]] = set()
    pairs: set[tuple[str, int]] = set()
    low, high = _NODE_PORTS
    for index, port in enumerate(ports):
        here, protocol, number = f"spec.ports[{index}]", port.get("protocol", ""), port.get("nodePort", 0)
        if number:
            if spec.get("type") == "ClusterIP":
                errors.append(forbidden(f"{here}.nodePort", "may not be used when `type` is 'ClusterIP'"))
            elif not low <= number <= high:
                detail = f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
                errors.append(invalid(f"{here}.nodePort", number, detail))
            if (protocol, number) in node_ports:
                errors.append(duplicate(f"{here}.nodePort", number))
            node_ports.add((protocol, number))
        pair = (protocol, port.get("port", 0))
        if pair in pairs:
            errors.append(duplicate(here, {"protocol": pair[0], "port": pair[1]}))
        pairs.add(pair)


def _check_affinity(errors: Errors, spec: Part) -> None:
    affinity = spec.get("sessionAffinity")
    check_choice(errors, "spec.sessionAffinity", affinity, _AFFINITIES)
    config = spec.get("sessionAffinityConfig")
    path = "spec.sessionAffinityConfig"
    if affinity == "None" and config is not None:
        errors.append(forbidden(path, "must not be set when session affinity is None"))
    if affinity == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None:
            errors.append(required(f"{path}.clientIP.timeoutSeconds", "when session affinity type is ClientIP"))
        elif not 0 < seconds <= _DAY:
            detail = f"must be greater than 0 and less than {_DAY}"
            errors.append(invalid(f"{path}.clientIP.timeoutSeconds", seconds, detail))


def _check_addresses(errors: Errors, spec: Part) -> None:
    if spec.get("type") == "ExternalName":
        return
    path, first, addresses = "spec.clusterIPs", spec.get("clusterIP", ""), list(spec.get("clusterIPs", ()))
    if first and not addresses:
        addresses = [first]
    elif first and addresses[0] != first:
        errors.append(invalid(path, addresses, "first value must match `clusterIP`"))
    elif addresses and not first:
        errors.append(invalid(path, addresses, "must be empty when `clusterIP` is not specified"))
    families: Sequence[str] = spec.get("ipFamilies", ())
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            errors.append(not_supported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
        if family in families[:index]:
            errors.append(duplicate(f"spec.ipFamilies[{index}]", family))
    if "ipFamilyPolicy" in spec and spec["ipFamilyPolicy"] not in _FAMILY_POLICIES:
        errors.append(not_supported("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], _FAMILY_POLICIES))
    if "None" in addresses:
        if len(addresses) > 1:
            errors.append(invalid(path, addresses, "'None' must be the first and only value"))
        return
    _check_families(errors, path, addresses, families)


def _check_families(errors: Errors, path: str, addresses: list[str], families: Sequence[str]) -> None:
    parsed = [parse_ip(address) for address in addresses]
    for index, address in enumerate(addresses):
        check_ip(errors, f"{path}[{index}]", address)
    if len(addresses) > 2:
        errors.append(invalid(path, addresses, "may only hold up to 2 values"))
    if None in parsed:
        return
    if len(addresses) > 1 and len({each.version for each in parsed if each}) < 2:
        errors.append(invalid(path, addresses, "may specify no more than one IP for each IP family"))
    for index, (each, family) in enumerate(zip(parsed, families, strict=False)):
        if each and f"IPv{each.version}" != family:
            detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            errors.append(invalid(f"{path}[{index}]", addresses[index], detail))


def _check_load_balancer(errors: Errors, spec: Part) -> None:
    balanced = spec.get("type") == "LoadBalancer"
    detail = "may only be used when `type` is 'LoadBalancer'"
    ranges: Sequence[str] = spec.get("loadBalancerSourceRanges", ())
    if ranges and not balanced:
        errors.append(forbidden("spec.LoadBalancerSourceRanges", detail))
    for index, network in enumerate(ranges):
        check_cidr(errors, f"spec.LoadBalancerSourceRanges[{index}]", network.strip())
    if not balanced:
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if name in spec:
                errors.append(forbidden(f"spec.{name}", detail))
    elif "loadBalancerClass" in spec:
        check_name(errors, "spec.loadBalancerClass", spec["loadBalancerClass"], names.qualified_name)


def _check_policies(errors: Errors, spec: Part) -> None:
    external = spec.get("externalTrafficPolicy")
    if not is_external(dict(spec)):
        if external:
            detail = "may only be set for externally-accessible services"
            errors.append(invalid("spec.externalTrafficPolicy", external, detail))
    else:
        check_choice(errors, "spec.externalTrafficPolicy", external, _POLICIES)
    health = spec.get("healthCheckNodePort", 0)
    if health:
        if spec.get("type") != "LoadBalancer" or external != "Local":
            detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.append(invalid("spec.healthCheckNodePort", health, detail))
        else:
            check_port_number(errors, "spec.healthCheckNodePort", health)
    internal = spec.get("internalTrafficPolicy")
    if internal is not None and internal not in _POLICIES:
        errors.append(not_supported("spec.internalTrafficPolicy", internal, _POLICIES))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        errors.append(not_supported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))


def service_errors(service: Document) -> list[FieldError]:
    """What is wrong with a service, whether new or changed."""
    errors = metadata_errors(service, names.dns_1035_label, namespaced=True)
    spec: Part = service.get("spec") or {}
    ports: Sequence[Part] = spec.get("ports", ())
    if not ports and not is_headless(spec) and spec.get("type") != "ExternalName":
        errors.append(required("spec.ports"))
    _check_type(errors, spec)
    _check_ports(errors, ports)
    if "selector" in spec:
        errors += label_errors("spec.selector", spec["selector"])
    _check_affinity(errors, spec)
    _check_addresses(errors, spec)
    for index, address in enumerate(spec.get("externalIPs", ())):
        here = f"spec.externalIPs[{index}]"
        if parse_ip(address) is None:
            check_ip(errors, here, address)
        else:
            check_not_special(errors, here, address)
    check_choice(errors, "spec.type", spec.get("type"), _TYPES)
    _check_node_ports(errors, spec)
    _check_load_balancer(errors, spec)
    _check_policies(errors, spec)
    return errors


def update_errors(new: Document, old: Document) -> list[FieldError]:
    """What may not change of a service that is there."""
    errors = metadata_update_errors(new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" not in (after.get("type"), before.get("type")):
        errors += _address_changes(after, before)
    if after.get("type") == before.get("type") == "LoadBalancer":
        if after.get("loadBalancerClass") != before.get("loadBalancerClass"):
            errors.append(invalid("spec.loadBalancerClass", after.get("loadBalancerClass"), _SET))
        ports = after.get("healthCheckNodePort"), before.get("healthCheckNodePort")
        if (
            after.get("externalTrafficPolicy") == before.get("externalTrafficPolicy") == "Local"
            and ports[0] != ports[1]
        ):
            errors.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return errors


def _address_changes(after: Part, before: Part) -> list[FieldError]:
    if is_headless(after) and is_headless(before):
        return []
    new, old = list(after.get("clusterIPs", ())), list(before.get("clusterIPs", ()))
    errors: Errors = []
    if old and not new:
        errors.append(invalid("spec.clusterIPs[0]", new, "primary clusterIP can not be unset"))
    for index, (address, was) in enumerate(zip(new, old, strict=False)):
        if address != was:
            errors.append(invalid(f"spec.clusterIPs[{index}]", new, _SET))
    if len(old) > len(new) == 1 and after.get("ipFamilyPolicy") != "SingleStack":
        detail = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(invalid("spec.ipFamilyPolicy", after.get("ipFamilyPolicy"), detail))
    families, were = after.get("ipFamilies", ()), before.get("ipFamilies", ())
    if is_headless(after) == is_headless(before) and families and were and families[0] != were[0]:
        errors.append(invalid("spec.ipFamilies[0]", list(families), _SET))
    return errors


def status_errors(new: Document, old: Document) -> list[FieldError]:
    """What is wrong with the addresses that a load balancer reports."""
    errors = metadata_update_errors(new, old)
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress", ())
    path = "status.loadBalancer.ingress"
    if ingress and (new.get("spec") or {}).get("type") != "LoadBalancer":
        errors.append(forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
        return errors
    return errors + load_balancer_errors(ingress)


def load_balancer_errors(ingress: Sequence[Part]) -> list[FieldError]:
    """What is wrong with ``status.loadBalancer.ingress`` (of Services and Ingresses)."""
    errors: Errors = []
    path = "status.loadBalancer.ingress"
    for index, each in enumerate(ingress):
        if each.get("ip"):
            check_ip(errors, f"{path}[{index}].ip", each["ip"])
        elif "ipMode" in each:
            errors.append(forbidden(f"{path}[{index}].ipMode", "may not be specified when `ip` is not set"))
        if hostname := each.get("hostname"):
            check_name(errors, f"{path}[{index}].hostname", hostname, names.dns_subdomain)
            if parse_ip(hostname) is not None:
                detail = "must be a DNS name, not an IP address"
                errors.append(invalid(f"{path}[{index}].hostname", hostname, detail))
    return errors
