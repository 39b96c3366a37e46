"""The status of a pod: phases, conditions, states of containers."""

from __future__ import annotations

from typing import Any

import pytest

from moorage_agent.engine.contract import State
from moorage_agent.pods.observed import Attempt, Health, Observed, Termination, Verdict
from moorage_agent.pods.plan import plan
from moorage_agent.pods.status import HostFacts, pod_status
from tests.unit.agent.documents import Document, attempt, container, pod, sandbox, seen

NOW = 1000.0
EXITED = State.EXITED


class NoDetails:
    """There are no messages and no registries."""

    def message(self, attempt: Attempt) -> str:
        return "é" * 3000 if attempt.name == "talks" else ""

    def image_digest(self, image_id: str) -> str:
        return ""


def status(whole: Document, found: Observed) -> Document:
    """What would be reported."""
    return pod_status(whole, found, plan(whole, found, NOW), NOW, HostFacts("192.0.2.7"), NoDetails())


def conditions(found: Document) -> dict[str, tuple[str, Any]]:
    """Type -> (status, reason)."""
    return {one["type"]: (one["status"], one.get("reason")) for one in found["conditions"]}


def test_a_pod_that_is_being_made() -> None:
    found = status(pod(), Observed(start_time=NOW))
    assert found["phase"] == "Pending"
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(found) == {
        "PodReadyToStartContainers": ("False", None),
        "Initialized": ("True", None),
        "ContainersReady": ("False", "ContainersNotReady"),
        "Ready": ("False", "ContainersNotReady"),
        "PodScheduled": ("True", None),
    }


@pytest.mark.parametrize(
    ("policy", "ends", "phase"),
    [
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 1), "Failed"),
        ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 1), "Running"),
        ("Always", (0, 0), "Running"),
        ("Never", (0, None), "Running"),
    ],
)
def test_phases(policy: str, ends: tuple[int | None, int | None], phase: str) -> None:
    starts = [
        attempt(name) if code is None else attempt(name, 0, EXITED, code=code, finished=NOW)
        for name, code in zip(("c", "d"), ends, strict=True)
    ]
    whole = pod(container("c"), container("d"), restartPolicy=policy)
    assert status(whole, seen(*starts, images=("c", "d")))["phase"] == phase


def test_what_is_final_stays() -> None:
    whole = pod()
    whole["status"] = {"phase": "Failed", "reason": "Evicted", "message": "out of disk"}
    found = status(whole, Observed())
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "Evicted", "out of disk")
    assert conditions(found)["Ready"] == ("False", "PodFailed")


def test_ready_needs_all_containers_and_gates() -> None:
    whole = pod(container("c"), container("d"), readinessGates=[{"conditionType": "example.com/lb"}])
    both = (attempt("c"), attempt("d"))
    unready = status(whole, seen(*both, health={"d-0": Health(ready=False)}))
    assert conditions(unready)["Ready"] == ("False", "ContainersNotReady")
    ready = next(one for one in unready["conditions"] if one["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [d]"
    health = {"c-0": Health(), "d-0": Health()}
    gated = status(whole, seen(*both, health=health))
    assert conditions(gated)["ContainersReady"] == ("True", None)
    assert conditions(gated)["Ready"] == ("False", "ReadinessGatesNotReady")
    whole["status"]["conditions"] = [{"type": "example.com/lb", "status": "True"}]
    assert conditions(status(whole, seen(*both, health=health)))["Ready"] == ("True", None)


def test_the_message_of_readiness_gates_names_each() -> None:
    gates = [{"conditionType": "example.com/a"}, {"conditionType": "example.com/b"}]
    whole = pod(readinessGates=gates)
    whole["status"]["conditions"] = [{"type": "example.com/b", "status": "False"}]
    found = status(whole, seen(attempt("c"), health={"c-0": Health()}))
    ready = next(one for one in found["conditions"] if one["type"] == "Ready")
    assert ready["message"] == (
        'corresponding condition of pod readiness gate "example.com/a" does not exist., '
        'the status of pod readiness gate "example.com/b" is not "True", but False'
    )


def test_no_phase_is_final_while_anything_runs() -> None:
    proxy = container("proxy", restartPolicy="Always")
    whole = pod(initContainers=[proxy], restartPolicy="Never")
    whole["status"]["phase"] = "Running"
    done = attempt("c", 0, EXITED, finished=NOW)
    assert status(whole, seen(done, attempt("proxy")))["phase"] == "Running"
    ended = status(whole, seen(done, attempt("proxy", 0, EXITED, code=137, finished=NOW)))
    assert ended["phase"] == "Succeeded"
    assert conditions(ended)["Initialized"] == ("True", "PodCompleted")
    assert conditions(ended)["Ready"] == ("False", "PodCompleted")
    late = pod(activeDeadlineSeconds=1)
    late["status"]["phase"] = "Running"
    assert status(late, seen(attempt("c"), start_time=NOW - 60))["phase"] == "Running"
    over = status(late, seen(attempt("c", 0, EXITED, code=0, finished=NOW), start_time=NOW - 60))
    assert (over["phase"], over["reason"]) == ("Failed", "DeadlineExceeded")
    assert conditions(over)["Ready"] == ("False", "PodFailed")


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (143, "Failed")])
def test_a_deleted_pod_has_a_final_phase_before_it_goes(code: int, phase: str) -> None:
    whole = pod()
    whole["status"]["phase"] = "Running"
    end = Termination(30.0)
    assert status(whole, seen(attempt("c"), termination=end))["phase"] == "Running"
    ended = attempt("c", 0, EXITED, code=code, finished=NOW)
    assert status(whole, seen(ended, termination=end))["phase"] == phase


def test_what_was_never_started_has_an_end_when_its_pod_has() -> None:
    never = status(pod(), seen(termination=Termination(30.0)))
    assert never["phase"] == "Failed"
    lost = never["containerStatuses"][0]["state"]["terminated"]
    assert (lost["reason"], lost["exitCode"]) == ("ContainerStatusUnknown", 137)
    # Containers that had no turn yet go on waiting: the init container's failure says it all.
    whole = pod(initContainers=[container("one"), container("two")], restartPolicy="Never")
    failed = status(whole, seen(attempt("one", 0, EXITED, code=1, finished=NOW), images=("one",)))
    assert failed["phase"] == "Failed"
    assert failed["initContainerStatuses"][1]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert failed["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_a_pod_that_was_not_let_in_says_nothing_of_containers() -> None:
    verdict = Verdict("SysctlForbidden", "Pod was rejected: forbidden sysctl", 0.0, refused=True)
    found = status(pod(), Observed(start_time=NOW, verdict=verdict))
    assert (found["phase"], found["reason"]) == ("Failed", "SysctlForbidden")
    assert "containerStatuses" not in found
    known = pod()
    known["status"] = {"phase": "Failed", "reason": "SysctlForbidden"}
    assert "containerStatuses" not in status(known, Observed(start_time=NOW))


def test_a_container_does_not_run_before_its_hook_has() -> None:
    whole = pod(container("c", lifecycle={"postStart": {"exec": {"command": ["x"]}}}))
    found = status(whole, seen(attempt("c"), starting=frozenset({"c"}), busy=frozenset({"c"})))
    assert found["phase"] == "Pending"
    entry = found["containerStatuses"][0]
    assert entry["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert (entry["ready"], entry["started"]) == (False, False)


def test_entries_are_sorted_by_name_and_tell_their_mounts() -> None:
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "r", "mountPath": "/r", "readOnly": True}]
    whole = pod(container("z", volumeMounts=mounts), container("a"))
    found = status(whole, seen(attempt("z"), attempt("a")))["containerStatuses"]
    assert [one["name"] for one in found] == ["a", "z"]
    assert found[1]["volumeMounts"] == [
        {"name": "v", "mountPath": "/v"},
        {"name": "r", "mountPath": "/r", "readOnly": True, "recursiveReadOnly": "Disabled"},
    ]


def test_messages_of_many_containers_share_their_room() -> None:
    others = [container(f"c{number}") for number in range(5)]
    whole = pod(container("talks"), *others, restartPolicy="Never")
    found = status(whole, seen(attempt("talks", 0, EXITED, code=1, finished=NOW)))
    entry = next(one for one in found["containerStatuses"] if one["name"] == "talks")
    assert entry["state"]["terminated"]["message"] == "é" * 1024


def test_a_container_that_was_made_tells_its_resources() -> None:
    asks = {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}
    whole = pod(container("c"), container("d", resources=asks))
    found = {one["name"]: one for one in status(whole, seen(attempt("c"), attempt("d")))["containerStatuses"]}
    assert found["c"]["resources"] == {}
    assert "allocatedResources" not in found["c"]
    assert (found["d"]["resources"], found["d"]["allocatedResources"]) == (asks, {"cpu": "1"})
    assert "resources" not in status(whole, seen())["containerStatuses"][0]


def test_an_ephemeral_container_is_never_ready() -> None:
    whole = pod(ephemeralContainers=[container("look")])
    entry = status(whole, seen(attempt("c"), attempt("look")))["ephemeralContainerStatuses"][0]
    assert "running" in entry["state"]
    assert entry["ready"] is False
    assert "started" not in entry


def test_all_containers_that_start_anew_are_told_of() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}
    whole = pod(container("c"), container("w", restartPolicy="Never", restartPolicyRules=[rule]), restartPolicy="Never")
    asked = attempt("w", 0, EXITED, code=88, finished=NOW - 1)
    going = status(whole, seen(attempt("c"), asked))
    assert conditions(going)["AllContainersRestarting"] == ("True", None)
    new = (attempt("c", 1, started=NOW), attempt("w", 1, started=NOW))
    assert conditions(status(whole, seen(asked, *new)))["AllContainersRestarting"] == ("False", None)


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    whole = pod()
    whole["status"]["conditions"] = [{"type": "Ready", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z"}]
    still = status(whole, seen())
    assert (
        next(one for one in still["conditions"] if one["type"] == "Ready")["lastTransitionTime"]
        == "2020-01-01T00:00:00Z"
    )
    now = status(whole, seen(attempt("c"), health={"c-0": Health()}))
    assert (
        next(one for one in now["conditions"] if one["type"] == "Ready")["lastTransitionTime"] == "1970-01-01T00:16:40Z"
    )


def test_a_crashed_container_waits_with_its_end_in_last_state() -> None:
    crashed = attempt("c", 2, EXITED, code=3, started=NOW - 2, finished=NOW - 1, backoff=20.0)
    entry = status(pod(), seen(crashed))["containerStatuses"][0]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["lastState"]["terminated"]["exitCode"] == 3
    assert entry["restartCount"] == 2
    assert not entry["ready"]


def test_a_restarted_container_shows_its_end_before() -> None:
    ended = attempt("c", 0, EXITED, code=1, finished=NOW - 5)
    entry = status(pod(), seen(ended, attempt("c", 1)))["containerStatuses"][0]
    assert "running" in entry["state"]
    assert entry["lastState"]["terminated"]["reason"] == "Error"


def test_one_that_could_not_be_started() -> None:
    broken = attempt("c", 0, State.CREATED, error="no such file")
    entry = status(pod(restartPolicy="Never"), seen(broken))["containerStatuses"][0]
    ended = entry["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"], ended["message"]) == ("StartError", 128, "no such file")


def test_containers_removed_at_the_end_keep_their_last_word() -> None:
    whole = pod()
    recorded = {
        "name": "c",
        "containerID": "docker://x",
        "restartCount": 1,
        "state": {"terminated": {"exitCode": 0}},
        "ready": False,
    }
    whole["status"] = {"phase": "Running", "containerStatuses": [recorded]}
    found = status(whole, Observed(termination=Termination(1.0), sandboxes=(sandbox(0, EXITED),)))
    assert found["containerStatuses"] == [recorded]


def test_a_host_network_pod_has_the_hosts_address() -> None:
    found = status(pod(hostNetwork=True), seen(attempt("c")))
    assert found["podIP"] == found["hostIP"] == "192.0.2.7"
