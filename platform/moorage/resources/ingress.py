"""networking.k8s.io/v1: Ingress and IngressClass. They are kept for the controllers that people bring; none is built in.

Source: pkg/apis/networking/validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import parse_ip
from moorage.resources.checks import Errors, check_name, check_port_number
from moorage.resources.core.service_rules import load_balancer_errors
from moorage.resources.declaring import by_name, status_of
from moorage.resources.field_errors import forbidden, immutable, invalid, not_supported, required
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, NONE, at, text

Part = Mapping[str, Any]
GROUP = "networking.k8s.io"
_API = "io.k8s.api.networking.v1"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_ENDS = ("/..", "/.")
_SCOPES = ("Cluster", "Namespace")


def _check_path(errors: Errors, path: str, entry: Part) -> None:
    kind, value = entry.get("pathType"), entry.get("path", "")
    if not kind:
        errors.append(required(f"{path}.pathType", "pathType must be specified"))
    elif kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            errors.append(invalid(f"{path}.path", value, "must be an absolute path"))
        errors += [invalid(f"{path}.path", value, f"must not contain '{bad}'") for bad in _NOT_IN_PATHS if bad in value]
        errors += [
            invalid(f"{path}.path", value, f"cannot end with '{bad}'") for bad in _NOT_AT_ENDS if value.endswith(bad)
        ]
    elif kind == "ImplementationSpecific":
        if value and not value.startswith("/"):
            errors.append(invalid(f"{path}.path", value, "must be an absolute path"))
    else:
        errors.append(not_supported(f"{path}.pathType", kind, _PATH_TYPES))
    _check_backend(errors, f"{path}.backend", entry.get("backend") or {})


def _check_backend(errors: Errors, path: str, backend: Part) -> None:
    resource, service = backend.get("resource"), backend.get("service")
    if resource and service:
        errors.append(invalid(path, "", "cannot set both resource and service backends"))
    elif resource:
        errors += [required(f"{path}.resource.{name}") for name in ("kind", "name") if not resource.get(name)]
    elif not service:
        errors.append(required(path, "resource or service backend is required"))
    else:
        _check_service(errors, f"{path}.service", service)


def _check_service(errors: Errors, path: str, service: Part) -> None:
    if not service.get("name"):
        errors.append(required(f"{path}.name"))
    else:
        check_name(errors, f"{path}.name", service["name"], names.dns_1035_label)
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif port.get("name"):
        errors += [invalid(f"{path}.port.name", port["name"], problem) for problem in names.port_name(port["name"])]
    elif port.get("number"):
        check_port_number(errors, f"{path}.port.number", port["number"])
    else:
        errors.append(required(path, "port name or number is required"))


def _check_host(errors: Errors, path: str, host: str) -> None:
    if not host:
        return
    if parse_ip(host) is not None:
        errors.append(invalid(path, host, "must be a DNS name, not an IP address"))
        return
    check_name(errors, path, host.removeprefix("*."), names.dns_subdomain)


def _ingress_errors(ingress: Document) -> list[FieldError]:
    errors = metadata_errors(ingress, names.dns_subdomain, namespaced=True)
    spec: Part = ingress.get("spec") or {}
    rules: Sequence[Part] = spec.get("rules", ())
    if not rules and not spec.get("defaultBackend"):
        errors.append(invalid("spec", spec, "either `defaultBackend` or `rules` must be specified"))
    if spec.get("defaultBackend"):
        _check_backend(errors, "spec.defaultBackend", spec["defaultBackend"])
    for index, rule in enumerate(rules):
        _check_host(errors, f"spec.rules[{index}].host", rule.get("host", ""))
        if "http" in rule:
            paths = rule["http"].get("paths", ())
            if not paths:
                errors.append(required(f"spec.rules[{index}].http.paths"))
            for number, entry in enumerate(paths):
                _check_path(errors, f"spec.rules[{index}].http.paths[{number}]", entry)
    for index, tls in enumerate(spec.get("tls", ())):
        for number, host in enumerate(tls.get("hosts", ())):
            _check_host(errors, f"spec.tls[{index}].hosts[{number}]", host)
    if spec.get("ingressClassName"):
        check_name(errors, "spec.ingressClassName", spec["ingressClassName"], names.dns_subdomain)
    return errors


def _status_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    return errors + load_balancer_errors(at(new, "status.loadBalancer.ingress", ()))


def _class_errors(ingress_class: Document) -> list[FieldError]:
    errors = metadata_errors(ingress_class, names.dns_subdomain, namespaced=False)
    spec: Part = ingress_class.get("spec") or {}
    controller = spec.get("controller", "")
    if not controller:
        errors.append(required("spec.controller"))
    elif "/" not in controller:
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        errors.append(invalid("spec.controller", controller, detail))
    elif problem := names.dns_subdomain(controller.partition("/")[0]):
        errors.append(invalid("spec.controller", controller, problem))
    parameters = spec.get("parameters")
    if parameters:
        _check_parameters(errors, parameters)
    return errors


def _check_parameters(errors: Errors, parameters: Part) -> None:
    path = "spec.parameters"
    errors += [required(f"{path}.{name}") for name in ("kind", "name") if not parameters.get(name)]
    scope = parameters.get("scope")
    if not scope:
        errors.append(required(f"{path}.scope"))
    elif scope not in _SCOPES:
        errors.append(not_supported(f"{path}.scope", scope, _SCOPES))
    elif scope == "Namespace" and not parameters.get("namespace"):
        errors.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Cluster" and "namespace" in parameters:
        errors.append(forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))


def _class_update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    return errors + immutable("spec.controller", at(new, "spec.controller"), at(old, "spec.controller"))


def _default_class(ingress_class: Document) -> None:
    parameters = (ingress_class.get("spec") or {}).get("parameters")
    if parameters and not parameters.get("scope"):
        parameters["scope"] = "Cluster"


def _hosts(ingress: Document, _now: float) -> Any:
    hosts = [rule["host"] for rule in at(ingress, "spec.rules", ()) if rule.get("host")]
    more = f" + {len(hosts) - 3} more..." if len(hosts) > 3 else ""
    return ",".join(hosts[:3]) + more if hosts else "*"


def _address(ingress: Document, _now: float) -> Any:
    points = at(ingress, "status.loadBalancer.ingress", ())
    return ",".join(each.get("ip") or each.get("hostname", "") for each in points)


def _ports(ingress: Document, _now: float) -> Any:
    return "80, 443" if at(ingress, "spec.tls", ()) else "80"


def _parameters(ingress_class: Document, _now: float) -> Any:
    found = at(ingress_class, "spec.parameters", None)
    if not found:
        return NONE
    kind = found.get("kind", "")
    return f"{kind}.{found['apiGroup']}/{found.get('name')}" if found.get("apiGroup") else f"{kind}/{found.get('name')}"


INGRESS = Kind(
    group=GROUP,
    version="v1",
    kind="Ingress",
    plural="ingresses",
    singular="ingress",
    namespaced=True,
    schema=f"{_API}.Ingress",
    short_names=("ing",),
    storage=ResourceKey(GROUP, "ingresses"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of(GROUP, "v1", "Ingress"),)),
    columns=(
        NAME,
        Column("Class", text("spec.ingressClassName", NONE), description="The class that serves it."),
        Column("Hosts", _hosts, description="The first hosts."),
        Column("Address", _address, description="Where it can be reached."),
        Column("Ports", _ports, description="The ports that it listens on."),
        AGE,
    ),
    validate=_ingress_errors,
    validate_update=metadata_update_errors,
    validate_status_update=_status_errors,
)
INGRESS_CLASS = Kind(
    group=GROUP,
    version="v1",
    kind="IngressClass",
    plural="ingressclasses",
    singular="ingressclass",
    namespaced=False,
    schema=f"{_API}.IngressClass",
    storage=ResourceKey(GROUP, "ingressclasses"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Controller", text("spec.controller"), description="What serves Ingresses of this class."),
        Column("Parameters", _parameters, description="Where its settings are."),
        AGE,
    ),
    default=_default_class,
    validate=_class_errors,
    validate_update=_class_update_errors,
)
