"""Rules of what steers a pod to nodes."""

from typing import Any

import pytest

from tests.unit.resources.documents import kind, pod, problems

POD = kind("Pod")
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
TERM = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}


def nodes(**expression: Any) -> dict[str, Any]:
    term = {"matchExpressions": [expression]}
    return pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}})


def node_fields(**expression: Any) -> dict[str, Any]:
    return pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [expression]}]}}})


def near(**term: Any) -> dict[str, Any]:
    return pod(affinity={"podAffinity": {REQUIRED: [{**TERM, **term}]}})


def tolerating(**toleration: Any) -> dict[str, Any]:
    return pod(tolerations=[toleration])


def spread(**constraint: Any) -> dict[str, Any]:
    return pod(topologySpreadConstraints=[{**SPREAD, **constraint}])


NODES = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
EXPRESSION = f"{NODES}[0].matchExpressions[0]"
FIELD = f"{NODES}[0].matchFields[0]"
PODS = f"spec.affinity.podAffinity.{REQUIRED}[0]"
SPREADING = "spec.topologySpreadConstraints[0]"
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        tolerating(operator="Equal", value="a"),
        'spec.tolerations[0].operator: Invalid value: "Equal": '
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
    ),
    (tolerating(key="a/"), 'spec.tolerations[0].key: Invalid value: "a/": name part must be non-empty'),
    (
        tolerating(key="a", operator="Like"),
        'spec.tolerations[0].operator: Unsupported value: "Like": supported values:',
    ),
    (
        tolerating(key="a", operator="Exists", value="b"),
        "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
    ),
    (tolerating(key="a", value="b c"), 'spec.tolerations[0].operator: Invalid value: "b c": a valid label must be'),
    (
        tolerating(key="a", effect="Never"),
        'spec.tolerations[0].effect: Unsupported value: "Never": supported values: "NoSchedule"',
    ),
    (
        tolerating(key="a", effect="NoSchedule", tolerationSeconds=5),
        "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds`",
    ),
    (pod(nodeSelector={"a/": "b"}), 'spec.nodeSelector: Invalid value: "a/": name part must be non-empty'),
    (
        pod(affinity={"nodeAffinity": {REQUIRED: {}}}),
        f"{NODES}: Required value: must have at least one node selector term",
    ),
    (nodes(key="a", operator="In"), f"{EXPRESSION}.values: Required value: must be specified when `operator` is 'In'"),
    (nodes(key="a", operator="Exists", values=["b"]), f"{EXPRESSION}.values: Forbidden: may not be specified when"),
    (
        nodes(key="a", operator="Gt", values=["1", "2"]),
        f"{EXPRESSION}.values: Required value: must be specified single",
    ),
    (nodes(key="a", operator="Has"), f'{EXPRESSION}.operator: Invalid value: "Has": not a valid selector operator'),
    (nodes(key="a/", operator="Exists"), f'{EXPRESSION}.key: Invalid value: "a/": name part must be non-empty'),
    (nodes(key="a", operator="In", values=["b c"]), f'{EXPRESSION}.values[0]: Invalid value: "b c": a valid label'),
    (node_fields(key="metadata.name", operator="Exists"), f'{FIELD}.operator: Invalid value: "Exists": not a valid'),
    (node_fields(key="metadata.name", operator="In"), f"{FIELD}.values: Required value: must be only one value when"),
    (
        node_fields(key="metadata.uid", operator="In", values=["a"]),
        f'{FIELD}.key: Invalid value: "metadata.uid": not a valid field selector key',
    ),
    (
        pod(affinity={"nodeAffinity": {PREFERRED: [{"weight": 0, "preference": {}}]}}),
        f"spec.affinity.nodeAffinity.{PREFERRED}[0].weight: Invalid value: 0: must be in the range 1-100",
    ),
    (near(topologyKey="a/"), f'{PODS}.topologyKey: Invalid value: "a/": name part must be non-empty'),
    (near(namespaces=["A"]), f'{PODS}.namespace: Invalid value: "A": a lowercase RFC 1123 label'),
    (
        near(labelSelector={"matchLabels": {"a/": "b"}}),
        f'{PODS}.labelSelector.matchLabels: Invalid value: "a/": name part must be non-empty',
    ),
    (
        near(labelSelector=None, matchLabelKeys=["a"]),
        f"{PODS}.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
    ),
    (
        near(matchLabelKeys=["k"], mismatchLabelKeys=["k"]),
        f'{PODS}.matchLabelKeys[0]: Invalid value: "k": exists in both matchLabelKeys and mismatchLabelKeys',
    ),
    (
        pod(affinity={"podAntiAffinity": {PREFERRED: [{"weight": 101, "podAffinityTerm": TERM}]}}),
        f"spec.affinity.podAntiAffinity.{PREFERRED}[0].weight: Invalid value: 101: must be in the range 1-100",
    ),
    (spread(maxSkew=0), f"{SPREADING}.maxSkew: Invalid value: 0: must be greater than zero"),
    (spread(topologyKey=""), f"{SPREADING}.topologyKey: Required value: can not be empty"),
    (
        spread(whenUnsatisfiable="Wait"),
        f'{SPREADING}.whenUnsatisfiable: Unsupported value: "Wait": supported values: "DoNotSchedule", "ScheduleAnyway"',
    ),
    (spread(minDomains=0), f"{SPREADING}.minDomains: Invalid value: 0: must be greater than zero"),
    (
        spread(minDomains=2, whenUnsatisfiable="ScheduleAnyway"),
        f"{SPREADING}.minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not Schedule",
    ),
    (
        spread(nodeTaintsPolicy="Mind"),
        f'{SPREADING}.nodeTaintsPolicy: Unsupported value: "Mind": supported values: "Honor"',
    ),
    (spread(matchLabelKeys=["a"]), f"{SPREADING}.matchLabelKeys: Forbidden: must not be specified when labelSelector"),
    (
        pod(topologySpreadConstraints=[SPREAD, SPREAD]),
        f'{SPREADING}.{{topologyKey, whenUnsatisfiable}}: Duplicate value: "{{zone, DoNotSchedule}}"',
    ),
]


@pytest.mark.parametrize(("document", "problem"), REFUSED)
def test_refused(document: dict[str, Any], problem: str) -> None:
    found = problems(POD, document)
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "document",
    [
        tolerating(operator="Exists"),
        tolerating(key="a", operator="Equal", value="b", effect="NoExecute", tolerationSeconds=5),
        pod(nodeSelector={"kubernetes.io/os": "linux"}),
        nodes(key="a", operator="In", values=["b", "c"]),
        nodes(key="a", operator="DoesNotExist"),
        nodes(key="a", operator="Lt", values=["5"]),
        node_fields(key="metadata.name", operator="In", values=["node-1"]),
        pod(affinity={"nodeAffinity": {PREFERRED: [{"weight": 100, "preference": {}}]}}),
        near(namespaces=["b"], matchLabelKeys=["k"]),
        pod(affinity={"podAntiAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": TERM}]}}),
        spread(labelSelector={"matchLabels": {"a": "b"}}, minDomains=2, nodeAffinityPolicy="Ignore"),
        pod(topologySpreadConstraints=[SPREAD, {**SPREAD, "whenUnsatisfiable": "ScheduleAnyway"}]),
    ],
)
def test_accepted(document: dict[str, Any]) -> None:
    assert problems(POD, document) == []


def test_a_topology_key_is_needed() -> None:
    assert problems(POD, near(topologyKey=""))[0] == f"{PODS}.topologyKey: Required value: can not be empty"
