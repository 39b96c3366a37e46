"""Namespaces, nodes, ConfigMaps, Secrets, ServiceAccounts."""

import base64
from typing import Any

import pytest

from moorage.resources.core.configmaps import SIZE_LIMIT
from moorage.resources.core.nodes import address
from moorage.resources.printing import UNKNOWN
from tests.unit.resources.documents import NOW, REMOVED, changed_problems, edited, kind, plain, problems, stored

NAMESPACE, NODE, CONFIG_MAP, SECRET = kind("Namespace"), kind("Node"), kind("ConfigMap"), kind("Secret")


def cluster(name: str, **rest: Any) -> dict[str, Any]:
    return edited(plain(name, **rest), {"metadata/namespace": REMOVED})


def test_a_new_namespace() -> None:
    namespace = stored(NAMESPACE, cluster("Namespace", status={"phase": "Terminating"}))
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "one"}
    assert namespace["spec"] == {"finalizers": ["kubernetes"]}
    assert namespace["status"] == {"phase": "Active"}
    assert NAMESPACE.fields(namespace) == {"status.phase": "Active", "name": "one"}
    assert problems(NAMESPACE, cluster("Namespace")) == []


def test_the_label_with_the_name_cannot_lie() -> None:
    lying = edited(cluster("Namespace"), {"metadata/labels": {"kubernetes.io/metadata.name": "other"}})
    assert stored(NAMESPACE, lying)["metadata"]["labels"] == {"kubernetes.io/metadata.name": "one"}


def test_namespaces_are_labels() -> None:
    assert problems(NAMESPACE, edited(cluster("Namespace"), {"metadata/name": "a.b"}))[0].startswith(
        'metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label'
    )


def test_finalizers_of_a_namespace_change_elsewhere() -> None:
    old = stored(NAMESPACE, cluster("Namespace"))
    new = edited(old, {"spec/finalizers": []})
    NAMESPACE.prepare_update(new, old)
    assert new["spec"] == old["spec"]
    bare = edited(old, {"spec": REMOVED})
    NAMESPACE.prepare_update(new, bare)
    assert "spec" not in new


@pytest.mark.parametrize(
    ("deleted", "phase", "problem"),
    [
        (False, "Active", None),
        (True, "Terminating", None),
        (
            False,
            "Terminating",
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty",
        ),
        (
            True,
            "Active",
            "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty",
        ),
    ],
)
def test_phases(deleted: bool, phase: str, problem: str | None) -> None:
    old = stored(NAMESPACE, cluster("Namespace"))
    if deleted:
        old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = [str(error) for error in NAMESPACE.validate_status_update({**old, "status": {"phase": phase}}, old)]
    assert found == ([problem] if problem else [])


TAINT = {"key": "a", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"spec": {"taints": [{"key": "a"}]}}, "metadata.taints[0].effect: Required value"),
        (
            {"spec": {"taints": [{**TAINT, "effect": "No"}]}},
            'metadata.taints[0].effect: Unsupported value: "No": supported values:',
        ),
        (
            {"spec": {"taints": [{**TAINT, "key": "a/"}]}},
            'metadata.taints[0].key: Invalid value: "a/": name part must be',
        ),
        (
            {"spec": {"taints": [{**TAINT, "value": "a b"}]}},
            'metadata.taints[0].value: Invalid value: "a b": a valid label',
        ),
        (
            {"spec": {"taints": [TAINT, TAINT]}},
            'metadata.taints[1]: Duplicate value: {"effect":"NoSchedule","key":"a"}: '
            "taints must be unique by key and effect pair",
        ),
        (
            {"spec": {"podCIDRs": ["10.0.0.0"]}},
            'spec.podCIDRs[0]: Invalid value: "10.0.0.0": must be a valid CIDR value',
        ),
        (
            {"spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}},
            'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family',
        ),
        (
            {"status": {"capacity": {"pods": "1500m"}, "allocatable": {}}},
            'status.capacity.pods: Invalid value: "1500m": must be an',
        ),
        (
            {"status": {"allocatable": {"cpu": "-1"}}},
            'status.allocatable.cpu: Invalid value: "-1": must be greater than',
        ),
        (
            {"status": {"addresses": [{"type": "InternalIP", "address": "1.1.1.1"}] * 2}},
            "status.addresses[1]: Duplicate value: {",
        ),
    ],
)
def test_refused_nodes(part: dict[str, Any], problem: str) -> None:
    node = cluster("Node", **part)
    NODE.default(node)
    node.get("status", {}).pop("allocatable", None) if "capacity" in problem else None
    found = [str(error) for error in NODE.validate(node)]
    assert len(found) == 1, found
    assert found[0].startswith(problem)


def test_sound_nodes() -> None:
    spec = {"taints": [TAINT, {**TAINT, "effect": "NoExecute"}], "podCIDRs": ["10.0.0.0/24", "fd00::/64"]}
    status = {"capacity": {"cpu": "2", "memory": "24Gi", "pods": "110"}}
    assert problems(NODE, cluster("Node", spec=spec, status=status)) == []


def test_all_that_a_node_has_may_be_allocated() -> None:
    status = {"capacity": {"cpu": "2"}}
    assert stored(NODE, cluster("Node", status=status))["status"]["allocatable"] == {"cpu": "2"}
    given = {**status, "allocatable": {"cpu": "1"}}
    assert stored(NODE, cluster("Node", status=given))["status"]["allocatable"] == {"cpu": "1"}


def test_both_forms_of_the_pod_network() -> None:
    assert stored(NODE, cluster("Node", spec={"podCIDR": "10.0.0.0/24"}))["spec"]["podCIDRs"] == ["10.0.0.0/24"]
    assert stored(NODE, cluster("Node", spec={"podCIDRs": ["10.0.0.0/24"]}))["spec"]["podCIDR"] == "10.0.0.0/24"


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ({}, {"podCIDRs": ["10.0.0.0/24"]}, None),
        ({}, {"unschedulable": True, "taints": [TAINT]}, None),
        ({"podCIDRs": ["10.0.0.0/24"]}, {"podCIDRs": ["10.0.1.0/24"]}, "spec.podCIDRs"),
        ({"podCIDRs": ["10.0.0.0/24"]}, {}, "spec.podCIDRs"),
        ({}, {"providerID": "p"}, None),
        ({"providerID": "p"}, {"providerID": "q"}, "spec.providerID"),
        ({"externalID": "p"}, {"externalID": "q"}, "spec.externalID"),
    ],
)
def test_node_updates(before: dict[str, Any], after: dict[str, Any], problem: str | None) -> None:
    found = NODE.validate_update(cluster("Node", spec=after), cluster("Node", spec=before))
    assert [error.path for error in found] == ([problem] if problem else [])


def test_node_columns() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/": "", "kubernetes.io/role": "edge"}
    addresses = [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "ExternalIP", "address": "1.1.1.1"}]
    node = {
        "metadata": {"name": "n", "labels": labels},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": addresses,
            "nodeInfo": {"kubeletVersion": "v1", "osImage": "Debian", "containerRuntimeVersion": "docker://20"},
        },
    }
    row = {column.name: column.cell(node, NOW) for column in NODE.columns}
    assert row == {
        "Name": "n",
        "Status": "Ready,SchedulingDisabled",
        "Roles": "edge,worker",
        "Age": UNKNOWN,
        "Version": "v1",
        "Internal-IP": "10.0.0.1",
        "External-IP": "1.1.1.1",
        "OS-Image": "Debian",
        "Kernel-Version": UNKNOWN,
        "Container-Runtime": "docker://20",
    }
    assert NODE.fields(node) == {"spec.unschedulable": "true"}
    assert address(node, "Hostname") == ""
    statuses = {column.name: column.cell for column in NODE.columns}["Status"]
    assert statuses({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, NOW) == "NotReady"
    assert statuses({}, NOW) == "Unknown"


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"data": {"a b": "c"}}, 'data[a b]: Invalid value: "a b": a valid config key must consist of'),
        ({"binaryData": {"..": ""}}, "binaryData[..]: Invalid value: \"..\": must not be '..'"),
        (
            {"data": {"a": "b"}, "binaryData": {"a": "YQ=="}},
            'data[a]: Invalid value: "a": duplicate of key present in binaryData',
        ),
        ({"data": {"a": "b" * (SIZE_LIMIT + 1)}}, "[]: Too long: may not be more than 1048576 bytes"),
        ({"data": {"a": "é" * (SIZE_LIMIT // 2 + 1)}}, "[]: Too long: may not be more than 1048576 bytes"),
    ],
)
def test_refused_config_maps(parts: dict[str, Any], problem: str) -> None:
    found = problems(CONFIG_MAP, plain("ConfigMap", **parts))
    assert len(found) == 1, found
    assert found[0].startswith(problem)


def test_sound_config_maps() -> None:
    binary = {"b": base64.b64encode(b"x" * 1000).decode()}
    whole = plain("ConfigMap", data={"a.conf": "b" * (SIZE_LIMIT - 1000)}, binaryData=binary)
    assert problems(CONFIG_MAP, whole) == []


FROZEN = "field is immutable when `immutable` is set"


@pytest.mark.parametrize(("of", "field"), [(CONFIG_MAP, "data"), (CONFIG_MAP, "binaryData"), (SECRET, "data")])
def test_immutable_ones_stay(of: Any, field: str) -> None:
    parts: dict[str, Any] = {"immutable": True, field: {"a": "YQ=="}}
    old = stored(of, plain(of.kind, **parts))
    assert changed_problems(of, edited(old, {f"{field}/b": "YQ=="}), old) == [f"{field}: Forbidden: {FROZEN}"]
    assert changed_problems(of, edited(old, {"immutable": REMOVED}), old) == [f"immutable: Forbidden: {FROZEN}"]
    assert changed_problems(of, edited(old, {"metadata/labels": {"a": "b"}}), old) == []
    loose = edited(old, {"immutable": False})
    assert changed_problems(of, edited(loose, {f"{field}/b": "YQ=="}), loose) == []


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_plain_data_of_a_secret_is_write_only() -> None:
    secret = stored(SECRET, plain("Secret", data={"a": encoded("old"), "b": encoded("b")}, stringData={"a": "new"}))
    assert secret["data"] == {"a": encoded("new"), "b": encoded("b")}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"
    assert SECRET.fields(secret) == {"type": "Opaque"}


def typed(kind_of_secret: str, **data: Any) -> dict[str, Any]:
    return plain(
        "Secret", type=f"kubernetes.io/{kind_of_secret}", data={key: encoded(value) for key, value in data.items()}
    )


@pytest.mark.parametrize(
    ("secret", "found"),
    [
        (plain("Secret", data={"a b": ""}), ['data[a b]: Invalid value: "a b": a valid config key must consist of']),
        (
            plain("Secret", data={"a": encoded("x" * (SIZE_LIMIT + 1))}),
            ["data: Too long: may not be more than 1048576 bytes"],
        ),
        (typed("tls"), ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
        (typed("tls", **{"tls.crt": "", "tls.key": ""}), []),
        (typed("dockerconfigjson"), ["data[.dockerconfigjson]: Required value"]),
        (
            typed("dockerconfigjson", **{".dockerconfigjson": "canary"}),
            ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be a JSON object'],
        ),
        (typed("dockercfg", **{".dockercfg": "{}"}), []),
        (typed("basic-auth"), ["data[username]: Required value", "data[password]: Required value"]),
        (typed("basic-auth", password=""), []),
        (typed("ssh-auth", **{"ssh-privatekey": ""}), ["data[ssh-privatekey]: Required value"]),
        (typed("ssh-auth", **{"ssh-privatekey": "k"}), []),
        (
            typed("service-account-token"),
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
        (plain("Secret", type="example.com/mine"), []),
    ],
)
def test_types_of_secrets(secret: dict[str, Any], found: list[str]) -> None:
    actual = problems(SECRET, secret)
    assert len(actual) == len(found), actual
    assert all(text.startswith(start) for text, start in zip(actual, found, strict=True)), actual
    assert not any("canary" in text for text in actual)


def test_the_type_of_a_secret_stays() -> None:
    old = stored(SECRET, plain("Secret"))
    assert changed_problems(SECRET, edited(old, {"type": "a/b"}), old) == [
        'type: Invalid value: "a/b": field is immutable'
    ]


@pytest.mark.parametrize(
    ("of", "document", "cells"),
    [
        (CONFIG_MAP, {"data": {"a": ""}, "binaryData": {"b": ""}}, {"Data": 2}),
        (SECRET, {"type": "Opaque", "data": {"a": ""}}, {"Type": "Opaque", "Data": 1}),
        (kind("ServiceAccount"), {"secrets": [{}]}, {"Secrets": 1}),
        (NAMESPACE, {"status": {"phase": "Active"}}, {"Status": "Active"}),
    ],
)
def test_columns(of: Any, document: dict[str, Any], cells: dict[str, Any]) -> None:
    row = {column.name: column.cell(document, NOW) for column in of.columns}
    assert row.items() >= cells.items()
