"""Which checks hold at which level and version, and what namespaces and tenants ask for."""

from __future__ import annotations

from typing import Any

import pytest

from moorage_tenants.podsecurity.evaluation import RULES, details, reasons, violations
from moorage_tenants.podsecurity.levels import BASELINE, Policy, Standard, policy_of, stricter

MODEST: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "c",
            "image": "i",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}
PLAIN = {"containers": [{"name": "c", "image": "i"}]}
GREEDY = {
    "hostNetwork": True,
    "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
    "containers": [
        {"name": "c", "image": "i", "securityContext": {"privileged": True, "capabilities": {"add": ["BPF"]}}}
    ],
}


@pytest.mark.parametrize(
    ("standard", "spec", "broken"),
    [
        ("privileged:latest", GREEDY, ""),
        ("baseline:latest", PLAIN, ""),
        ("baseline:latest", MODEST, ""),
        ("restricted:latest", MODEST, ""),
        ("baseline:latest", GREEDY, "non-default capabilities, host namespaces, hostPath volumes, privileged"),
        (
            "restricted:latest",
            PLAIN,
            "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
        ),
        (
            "restricted:latest",
            GREEDY,
            "host namespaces, privileged, allowPrivilegeEscalation != false, unrestricted capabilities, "
            "restricted volume types, runAsNonRoot != true, seccompProfile",
        ),
        ("restricted:v1.0", PLAIN, "runAsNonRoot != true"),
        ("restricted:v1.7", PLAIN, "runAsNonRoot != true"),
        ("restricted:v1.8", PLAIN, "allowPrivilegeEscalation != false, runAsNonRoot != true"),
        ("restricted:v1.19", PLAIN, "allowPrivilegeEscalation != false, runAsNonRoot != true, seccompProfile"),
        (
            "restricted:v1.22",
            PLAIN,
            "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
        ),
    ],
)
def test_standards(standard: str, spec: dict[str, Any], broken: str) -> None:
    level, _, version = standard.partition(":")
    assert reasons(violations(Standard(level, version), {}, spec)) == broken


@pytest.mark.parametrize(
    ("spec", "first", "level"),
    [
        ({"containers": [{"name": "c", "livenessProbe": {"httpGet": {"host": "x", "port": 1}}}]}, 34, "baseline"),
        ({**MODEST, "securityContext": {**MODEST["securityContext"], "runAsUser": 0}}, 23, "restricted"),
    ],
)
def test_checks_begin_with_a_version(spec: dict[str, Any], first: int, level: str) -> None:
    assert violations(Standard(level, f"v1.{first - 1}"), {}, spec) == []
    assert violations(Standard(level, f"v1.{first}"), {}, spec) != []


@pytest.mark.parametrize(
    ("spec", "last", "level"),
    [
        ({"containers": [], "securityContext": {"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports"}]}}, 26, "baseline"),
        ({"containers": [], "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_keepalive_time"}]}}, 28, "baseline"),
        ({"containers": [], "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}}, 31, "baseline"),
        ({"containers": [], "securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}, 30, "baseline"),
        ({"containers": [{"name": "c", "securityContext": {"procMount": "Unmasked"}}], "hostUsers": False}, 34, "baseline"),
        ({**PLAIN, "os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}}, 24, "restricted"),
    ],
)  # fmt: skip
def test_some_rules_were_relaxed(spec: dict[str, Any], last: int, level: str) -> None:
    assert violations(Standard(level, f"v1.{last}"), {}, spec) != []
    assert violations(Standard(level, f"v1.{last + 1}"), {}, spec) == []


def test_a_user_namespace_does_not_unmask_proc_at_the_strictest_level() -> None:
    container = {**MODEST["containers"][0]}
    container["securityContext"] = {**container["securityContext"], "procMount": "Unmasked"}
    spec = {**MODEST, "containers": [container], "hostUsers": False}
    assert reasons(violations(Standard("restricted"), {}, spec)) == "procMount"


def test_details_name_where() -> None:
    assert details(violations(Standard(BASELINE), {}, {**PLAIN, "hostPID": True})) == "host namespaces (hostPID=true)"


def test_rules_are_whole() -> None:
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert [first for first, _ in rule.versions] == sorted({first for first, _ in rule.versions})
        assert not rule.instead_of or rule.instead_of in names


def labels(**given: str) -> dict[str, str]:
    return {f"pod-security.kubernetes.io/{name.replace('_', '-')}": value for name, value in given.items()}


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({}, Policy()),
        (
            labels(enforce="baseline", warn="restricted", audit="privileged"),
            Policy(Standard("baseline"), Standard("privileged"), Standard("restricted")),
        ),
        (
            labels(enforce="restricted", enforce_version="v1.20"),
            Policy(*[Standard("restricted", "v1.20")] * 3),
        ),
        (labels(warn="baseline", warn_version="v1.30"), Policy(warn=Standard("baseline", "v1.30"))),
    ],
)
def test_what_labels_ask_for(given: dict[str, str], policy: Policy) -> None:
    assert policy_of(given) == (policy, [])


def test_broken_labels_are_named_and_fail_to_the_safe_side() -> None:
    policy, errors = policy_of(labels(enforce="Baseline", audit="x", warn="y", enforce_version="1.20"))
    assert policy == Policy(Standard("restricted"), Standard(), Standard())
    assert [str(error) for error in errors] == [
        'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "Baseline": must be one of privileged, '
        "baseline, restricted",
        'metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: "1.20": must be "latest" or "v1.x"',
        'metadata.labels[pod-security.kubernetes.io/audit]: Invalid value: "x": must be one of privileged, baseline, '
        "restricted",
        'metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "y": must be one of privileged, baseline, '
        "restricted",
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Standard("baseline"), Standard("restricted", "v1.20"), Standard("restricted", "v1.20")),
        (Standard("baseline", "v1.20"), Standard("baseline"), Standard("baseline")),
        (Standard("baseline", "v1.20"), Standard("baseline", "v1.9"), Standard("baseline", "v1.20")),
        (Standard(), Standard("privileged", "v1.0"), Standard()),
    ],
)
def test_the_stricter_wins(one: Standard, other: Standard, expected: Standard) -> None:
    assert stricter(one, other) == stricter(other, one) == expected
