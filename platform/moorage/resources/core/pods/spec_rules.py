"""Rules of a pod's spec as a whole, in pods and in templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import check_ip
from moorage.resources.checks import LARGEST_INT32, Errors, check_choice, check_name
from moorage.resources.core.pods.container_rules import (
    Surroundings,
    check_containers,
    check_ephemeral_containers,
    check_init_containers,
)
from moorage.resources.core.pods.resource_rules import check_pod_level, check_requirements
from moorage.resources.core.pods.scheduling_rules import check_affinity, check_spreading, check_tolerations
from moorage.resources.core.pods.security_rules import check_host_users, check_pod_context
from moorage.resources.core.pods.volume_rules import check_volumes
from moorage.resources.field_errors import duplicate, invalid, required
from moorage.resources.label_selector import label_errors

Part = Mapping[str, Any]

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_SYSTEMS = ("linux", "windows")
_NAMES = (
    ("serviceAccountName", names.dns_subdomain),
    ("nodeName", names.dns_subdomain),
    ("hostname", names.dns_label),
    ("subdomain", names.dns_label),
    ("priorityClassName", names.dns_subdomain),
    ("runtimeClassName", names.dns_subdomain),
)
_NAMESERVERS, _SEARCHES, _SEARCH_CHARACTERS = 3, 32, 2048


def _check_host_network(errors: Errors, path: str, spec: Part, *, is_pod: bool) -> None:
    for index, container in enumerate(spec.get("containers", ())):
        for number, port in enumerate(container.get("ports", ())):
            host_port = port.get("hostPort", 0)
            if (is_pod or host_port) and host_port != port.get("containerPort", 0):
                here = f"{path}.containers[{index}].ports[{number}].hostPort"
                errors.append(invalid(here, host_port, "must match `containerPort` when `hostNetwork` is true"))


def _check_dns(errors: Errors, path: str, spec: Part) -> None:
    config, policy = spec.get("dnsConfig"), spec.get("dnsPolicy")
    if policy == "None":
        if config is None:
            errors.append(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
        elif not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.append(required(f"{path}.nameservers", detail))
    if config is None:
        return
    servers, searches = config.get("nameservers", []), config.get("searches", [])
    if len(servers) > _NAMESERVERS:
        errors.append(invalid(f"{path}.nameservers", servers, f"must not have more than {_NAMESERVERS} nameservers"))
    for index, server in enumerate(servers):
        check_ip(errors, f"{path}.nameservers[{index}]", server)
    if len(searches) > _SEARCHES:
        errors.append(invalid(f"{path}.searches", searches, f"must not have more than {_SEARCHES} search paths"))
    if len(" ".join(searches)) > _SEARCH_CHARACTERS:
        detail = f"must not have more than {_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(invalid(f"{path}.searches", searches, detail))
    for index, search in enumerate(searches):
        if search != ".":
            # KEP-4427: underscores are allowed in search paths.
            plain = search.removesuffix(".")
            if problem := names.dns_subdomain(plain.replace("_", "a")):
                errors.append(invalid(f"{path}.searches[{index}]", plain, problem))
    for index, option in enumerate(config.get("options", ())):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{index}]", "must not be empty"))


def _check_host_aliases(errors: Errors, path: str, aliases: Sequence[Part]) -> None:
    for index, alias in enumerate(aliases):
        check_ip(errors, f"{path}[{index}].ip", alias.get("ip", ""))
        for number, hostname in enumerate(alias.get("hostnames", ())):
            check_name(errors, f"{path}[{index}].hostnames[{number}]", hostname, names.dns_subdomain)


def _check_gates(errors: Errors, path: str, spec: Part) -> None:
    for index, gate in enumerate(spec.get("readinessGates", ())):
        here = f"{path}.readinessGates[{index}].conditionType"
        check_name(errors, here, gate.get("conditionType", ""), names.qualified_name)
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates", ())):
        name, here = gate.get("name", ""), f"{path}.schedulingGates[{index}]"
        check_name(errors, here, name, names.qualified_name)
        if name in seen:
            errors.append(duplicate(here, name))
        seen.add(name)


def _check_claims(errors: Errors, path: str, claims: Sequence[Part]) -> None:
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        name, here = claim.get("name", ""), f"{path}[{index}]"
        if not name:
            errors.append(required(f"{here}.name"))
        elif name in seen:
            errors.append(duplicate(f"{here}.name", name))
        else:
            check_name(errors, f"{here}.name", name, names.dns_label)
        seen.add(name)
        given = [each for each in ("resourceClaimName", "resourceClaimTemplateName") if each in claim]
        if len(given) > 1:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid(here, claim, detail))
        if not given:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(here, claim, detail))


def _check_rare(errors: Errors, path: str, spec: Part) -> None:
    """Fields that few pods have."""
    if "affinity" in spec:
        check_affinity(errors, f"{path}.affinity", spec["affinity"])
    if "dnsConfig" in spec or spec.get("dnsPolicy") == "None":
        _check_dns(errors, f"{path}.dnsConfig", spec)
    if "readinessGates" in spec or "schedulingGates" in spec:
        _check_gates(errors, path, spec)
    if "topologySpreadConstraints" in spec:
        check_spreading(errors, f"{path}.topologySpreadConstraints", spec["topologySpreadConstraints"])
    check_host_users(errors, path, spec)
    for name, rule in _NAMES:
        if value := spec.get(name):
            check_name(errors, f"{path}.{name}", value, rule)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= LARGEST_INT32:
        detail = f"must be between 1 and {LARGEST_INT32}, inclusive"
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, detail))
    if "tolerations" in spec:
        check_tolerations(errors, f"{path}.tolerations", spec["tolerations"])
    if "hostAliases" in spec:
        _check_host_aliases(errors, f"{path}.hostAliases", spec["hostAliases"])
    if "preemptionPolicy" in spec:
        check_choice(errors, f"{path}.preemptionPolicy", spec["preemptionPolicy"], _PREEMPTION_POLICIES)
    if "overhead" in spec:
        check_requirements(errors, f"{path}.overhead", {"limits": spec["overhead"]}, ())
    if "os" in spec:
        check_choice(errors, f"{path}.os.name", spec["os"].get("name"), _SYSTEMS)


def check_pod_spec(errors: Errors, path: str, spec: Part, *, is_pod: bool, name: str = "") -> None:
    """The spec of a pod (``is_pod``, called ``name``) or of a template, after defaulting."""
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        errors.append(required(f"{path}.terminationGracePeriodSeconds"))
    volumes = check_volumes(errors, f"{path}.volumes", spec["volumes"], name) if "volumes" in spec else {}
    claims: Sequence[Part] = spec.get("resourceClaims", ())
    if claims:
        _check_claims(errors, f"{path}.resourceClaims", claims)
    around = Surroundings(
        volumes=volumes,
        claims=[each["name"] for each in claims if each.get("name")],
        grace=grace,
        host_users=spec.get("hostUsers") is not False,
        restart_policy=spec.get("restartPolicy", ""),
        system=(spec.get("os") or {}).get("name", ""),
    )
    containers: Sequence[Part] = spec.get("containers") or ()
    check_containers(errors, f"{path}.containers", containers, around)
    if "initContainers" in spec:
        check_init_containers(errors, f"{path}.initContainers", spec["initContainers"], containers, around)
    if "ephemeralContainers" in spec:
        check_ephemeral_containers(errors, f"{path}.ephemeralContainers", spec, around)
    if "resources" in spec:
        check_pod_level(errors, f"{path}.resources", spec["resources"])
    if spec.get("hostNetwork"):
        _check_host_network(errors, path, spec, is_pod=is_pod)
    if spec.get("restartPolicy") not in RESTART_POLICIES:
        check_choice(errors, f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    if spec.get("dnsPolicy") not in _DNS_POLICIES:
        check_choice(errors, f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES)
    if "nodeSelector" in spec:
        errors += label_errors(f"{path}.nodeSelector", spec["nodeSelector"])
    check_pod_context(errors, f"{path}.securityContext", spec)
    _check_rare(errors, path, spec)
