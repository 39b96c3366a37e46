"""The status of a pod: phases, conditions, states of containers."""

from __future__ import annotations

from typing import Any

import pytest

from moorage_agent.engine.contract import State
from moorage_agent.pods.observed import Attempt, Health, Observed, Termination
from moorage_agent.pods.plan import plan
from moorage_agent.pods.status import HostFacts, pod_status
from tests.unit.agent.documents import Document, attempt, container, pod, sandbox, seen

NOW = 1000.0
EXITED = State.EXITED


class NoDetails:
    """There are no messages and no registries."""

    def message(self, attempt: Attempt) -> str:
        return ""

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
