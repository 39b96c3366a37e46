"""What may change of a pod."""

from typing import Any

import pytest

from tests.unit.resources.documents import REMOVED, changed_problems, edited, kind, pod, stored

POD = kind("Pod")
INIT = {"initContainers": [{"name": "init", "image": "a:1"}]}
LISTED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def changes(edits: dict[str, Any], **spec: Any) -> list[str]:
    old = stored(POD, pod(**spec))
    return changed_problems(POD, edited(old, edits), old)


@pytest.mark.parametrize(
    ("spec", "edits"),
    [
        ({}, {}),
        ({}, {"metadata/labels": {"a": "b"}, "metadata/annotations": {"c": "d"}}),
        ({}, {"spec/containers/0/image": "nginx:2"}),
        (INIT, {"spec/initContainers/0/image": "b:2"}),
        ({}, {"spec/activeDeadlineSeconds": 5}),
        ({"activeDeadlineSeconds": 9}, {"spec/activeDeadlineSeconds": 5}),
        ({}, {"spec/tolerations/2": {"key": "a", "operator": "Exists"}}),
        ({}, {"spec/tolerations/1/tolerationSeconds": 5}),
        ({"terminationGracePeriodSeconds": -1}, {"spec/terminationGracePeriodSeconds": 1}),
        ({"schedulingGates": [{"name": "a.b/c"}]}, {"spec/schedulingGates": REMOVED}),
        ({"schedulingGates": [{"name": "a.b/c"}]}, {"spec/nodeSelector": {"a": "b"}}),
        ({"nodeSelector": {"a": "b"}, "schedulingGates": [{"name": "a.b/c"}]}, {"spec/nodeSelector/c": "d"}),
    ],
)
def test_may_change(spec: dict[str, Any], edits: dict[str, Any]) -> None:
    assert changes(edits, **spec) == []


@pytest.mark.parametrize(
    ("spec", "edits", "problem"),
    [
        ({}, {"spec/nodeName": "n"}, f"spec: Forbidden: {LISTED}\nchanged: spec.nodeName"),
        ({}, {"spec/containers/0/env": [{"name": "A"}]}, f"spec: Forbidden: {LISTED}\nchanged: spec.containers[0].env"),
        ({}, {"spec/terminationGracePeriodSeconds": 1}, f"spec: Forbidden: {LISTED}"),
        ({}, {"spec/nodeSelector": {"a": "b"}}, f"spec: Forbidden: {LISTED}"),
        ({}, {"spec/containers/0/image": ""}, "spec.containers[0].image: Required value"),
        (
            {},
            {"spec/containers/1": {"name": "b", "image": "b:1"}},
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ),
        (INIT, {"spec/initContainers": REMOVED}, "spec.initContainers: Forbidden: pod updates may not add or remove"),
        (
            {"activeDeadlineSeconds": 5},
            {"spec/activeDeadlineSeconds": 9},
            "spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value",
        ),
        (
            {"activeDeadlineSeconds": 5},
            {"spec/activeDeadlineSeconds": REMOVED},
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
        ),
        (
            {},
            {"spec/tolerations": []},
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            {},
            {"spec/schedulingGates": [{"name": "a.b/c"}]},
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a.b/c'",
        ),
        (
            {"nodeSelector": {"a": "b"}, "schedulingGates": [{"name": "a.b/c"}]},
            {"spec/nodeSelector": {"a": "c"}},
            f"spec: Forbidden: {LISTED}\nchanged: spec.nodeSelector.a",
        ),
    ],
)
def test_may_not_change(spec: dict[str, Any], edits: dict[str, Any], problem: str) -> None:
    found = changes({"spec/containers/0/terminationMessagePath": "/dev/termination-log", **edits}, **spec)
    assert any(each.startswith(problem) for each in found), found


def status_changes(new: dict[str, Any], old: dict[str, Any], **spec: Any) -> list[str]:
    before = {**stored(POD, pod(**spec)), "status": old}
    after = {**before, "status": new}
    return [str(error) for error in POD.validate_status_update(after, before)]


def container_status(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", "state": state}]}


def rules(action: str, *codes: int) -> dict[str, Any]:
    rule = {"action": action, "exitCodes": {"operator": "In", "values": list(codes)}}
    return {"restartPolicy": "Never", "restartPolicyRules": [rule]}


ENDED = container_status(terminated={"exitCode": 0})
FAILED = container_status(terminated={"exitCode": 1})
RUNNING = container_status(running={})


def test_a_status_may_say_what_it_likes_of_running_containers() -> None:
    addresses = {"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}], "podIPs": [{"ip": "10.1.0.1"}]}
    conditions = [{"type": "Ready", "status": "True"}, {"type": "example.com/up", "status": "True"}]
    assert status_changes({**RUNNING, **addresses, "conditions": conditions}, {}) == []
    assert status_changes(RUNNING, ENDED) == []
    assert status_changes(RUNNING, FAILED, restartPolicy="OnFailure") == []


@pytest.mark.parametrize(
    ("own", "state", "may"),
    [
        ({"restartPolicy": "Always"}, ENDED, True),
        ({"restartPolicy": "OnFailure"}, ENDED, False),
        ({"restartPolicy": "OnFailure"}, FAILED, True),
        (rules("Restart", 1), FAILED, True),
        (rules("Restart", 1), ENDED, False),
        (rules("RestartAllContainers", 1), ENDED, True),  # another container's exit may have asked for it
    ],
)
def test_a_containers_own_rules_say_whether_it_may_run_again(
    own: dict[str, Any], state: dict[str, Any], may: bool
) -> None:
    containers = [{"name": "main", **own}]
    assert (status_changes(RUNNING, state, restartPolicy="Never", containers=containers) == []) is may


@pytest.mark.parametrize(
    ("new", "old", "policy", "problem"),
    [
        (
            RUNNING,
            ENDED,
            "Never",
            "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
        ),
        (RUNNING, ENDED, "OnFailure", "status.containerStatuses[0].state: Forbidden: may not be transitioned"),
        (
            {"qosClass": "Guaranteed"},
            {"qosClass": "Burstable"},
            "Always",
            'status.qosClass: Invalid value: "Guaranteed": field is',
        ),
        ({"podIPs": [{"ip": "x"}]}, {}, "Always", 'status.podIPs[0]: Invalid value: "x": must be a valid IP address'),
        ({"podIPs": [{"ip": "1.1.1.1"}] * 2}, {}, "Always", 'status.podIPs[1]: Duplicate value: {"ip":"1.1.1.1"}'),
        (
            {"hostIPs": [{"ip": "1.1.1.1"}]},
            {},
            "Always",
            'status.hostIPs[0].ip: Invalid value: "1.1.1.1": must be equal to',
        ),
        (
            {"nominatedNodeName": "A"},
            {},
            "Always",
            'status.nominatedNodeName: Invalid value: "A": a lowercase RFC 1123',
        ),
        ({"conditions": [{"type": "a/"}]}, {}, "Always", 'status.conditions[0].type: Invalid value: "a/": name part'),
    ],
)
def test_what_a_status_may_not_do(new: dict[str, Any], old: dict[str, Any], policy: str, problem: str) -> None:
    found = status_changes(new, old, restartPolicy=policy)
    assert len(found) == 1, found
    assert found[0].startswith(problem)


def test_a_sidecar_may_come_back() -> None:
    side = {"name": "side", "image": "a:1", "restartPolicy": "Always"}
    old = {"initContainerStatuses": [{"name": "side", "state": {"terminated": {"exitCode": 0}}}]}
    new = {"initContainerStatuses": [{"name": "side", "state": {"running": {}}}]}
    assert status_changes(new, old, restartPolicy="Never", initContainers=[side]) == []
    assert status_changes(new, old, restartPolicy="Never", initContainers=[{**side, "name": "other"}])
