"""What ``kubectl get pods`` shows."""

from typing import Any

import pytest

from moorage.resources.core.pods import state
from tests.unit.resources.documents import NOW, ago, kind

POD = kind("Pod")
CELLS = {column.name: column.cell for column in POD.columns}


def row(pod: dict[str, Any]) -> dict[str, Any]:
    return {name: cell(pod, NOW) for name, cell in CELLS.items()}


def running(**rest: Any) -> dict[str, Any]:
    return {"name": "main", "ready": True, "state": {"running": {}}, **rest}


def waiting(reason: str, **rest: Any) -> dict[str, Any]:
    return {"name": "main", "ready": False, "state": {"waiting": {"reason": reason}}, **rest}


def terminated(code: int = 0, **rest: Any) -> dict[str, Any]:
    return {"name": "main", "ready": False, "state": {"terminated": {"exitCode": code, **rest}}}


def with_status(*containers: dict[str, Any], phase: str = "Running", **status: Any) -> dict[str, Any]:
    return {
        "spec": {"containers": [{}] * len(containers)},
        "status": {"phase": phase, "containerStatuses": containers, **status},
    }


READY = [{"type": "Ready", "status": "True"}]
DELETED = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("pod", "ready", "status"),
    [
        ({"spec": {"containers": [{}]}, "status": {"phase": "Pending"}}, "0/1", "Pending"),
        (with_status(running()), "1/1", "Running"),
        (with_status(running(), running(ready=False)), "1/2", "Running"),
        (with_status(waiting("ContainerCreating"), phase="Pending"), "0/1", "ContainerCreating"),
        (with_status(waiting("CrashLoopBackOff")), "0/1", "CrashLoopBackOff"),
        (with_status(waiting("ErrImagePull"), running()), "1/2", "ErrImagePull"),
        (with_status(terminated(reason="Completed"), phase="Succeeded"), "0/1", "Completed"),
        (with_status(terminated(1, reason="Error"), phase="Failed"), "0/1", "Error"),
        (with_status(terminated(3), phase="Failed"), "0/1", "ExitCode:3"),
        (with_status(terminated(137, signal=9), phase="Failed"), "0/1", "Signal:9"),
        (with_status(terminated(reason="Completed"), running(), conditions=READY), "1/2", "Running"),
        (with_status(terminated(reason="Completed"), running()), "1/2", "NotReady"),
        (with_status(running(), reason="Evicted", phase="Failed"), "1/1", "Evicted"),
        ({**with_status(running()), **DELETED}, "1/1", "Terminating"),
        (
            with_status(running(), conditions=[{"type": "AllContainersRestarting", "status": "True"}]),
            "1/1",
            "RestartingAllContainers",
        ),
        ({**with_status(terminated(reason="Completed"), phase="Succeeded"), **DELETED}, "0/1", "Completed"),
        ({**with_status(running(), reason="NodeLost"), **DELETED}, "1/1", "Unknown"),
        (
            with_status(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
            "0/0",
            "SchedulingGated",
        ),
    ],
)
def test_ready_and_status(pod: dict[str, Any], ready: str, status: str) -> None:
    shown = row(pod)
    assert (shown["Ready"], shown["Status"]) == (ready, status)


def initializing(*statuses: dict[str, Any], sidecar: bool = False) -> dict[str, Any]:
    containers = [{"name": each["name"], **({"restartPolicy": "Always"} if sidecar else {})} for each in statuses]
    pod = with_status(waiting("PodInitializing"), phase="Pending")
    pod["spec"]["initContainers"] = containers
    pod["status"]["initContainerStatuses"] = list(statuses)
    return pod


@pytest.mark.parametrize(
    ("pod", "ready", "status"),
    [
        (initializing({**running(), "name": "a"}, {**waiting("PodInitializing"), "name": "b"}), "0/1", "Init:0/2"),
        (initializing({**terminated(), "name": "a"}, {**running(), "name": "b"}), "0/1", "Init:1/2"),
        (initializing({**terminated(1, reason="Error"), "name": "a"}), "0/1", "Init:Error"),
        (initializing({**terminated(2), "name": "a"}), "0/1", "Init:ExitCode:2"),
        (initializing({**terminated(2, signal=9), "name": "a"}), "0/1", "Init:Signal:9"),
        (initializing({**waiting("CrashLoopBackOff"), "name": "a"}), "0/1", "Init:CrashLoopBackOff"),
        (initializing({**running(), "name": "a", "started": True}, sidecar=True), "1/2", "PodInitializing"),
        (initializing({**terminated(), "name": "a"}), "0/1", "PodInitializing"),
    ],
)
def test_while_it_initializes(pod: dict[str, Any], ready: str, status: str) -> None:
    shown = row(pod)
    assert (shown["Ready"], shown["Status"]) == (ready, status)


def test_restarts_and_the_last_of_them() -> None:
    last = {"lastState": {"terminated": {"finishedAt": ago(300)}}}
    assert row(with_status(running(restartCount=0)))["Restarts"] == "0"
    assert row(with_status(running(restartCount=3)))["Restarts"] == "3"
    assert row(with_status(running(restartCount=3, **last), running(restartCount=1)))["Restarts"] == "4 (5m ago)"


def test_wide_columns() -> None:
    assert (
        row(with_status(running())).items()
        >= {
            "IP": "<none>",
            "Node": "<none>",
            "Nominated Node": "<none>",
            "Readiness Gates": "<none>",
        }.items()
    )
    pod = with_status(running(), podIPs=[{"ip": "10.0.0.1"}], conditions=[{"type": "a.b/c", "status": "True"}])
    pod["spec"] |= {"nodeName": "n", "readinessGates": [{"conditionType": "a.b/c"}, {"conditionType": "a.b/d"}]}
    assert row(pod).items() >= {"IP": "10.0.0.1", "Node": "n", "Readiness Gates": "1/2"}.items()


def test_age() -> None:
    pod = {"metadata": {"name": "web", "creationTimestamp": ago(90)}}
    assert row(pod).items() >= {"Name": "web", "Age": "90s"}.items()


def test_questions_about_a_pod() -> None:
    ready = with_status(running(), conditions=READY)
    assert state.is_ready(ready)
    assert not state.is_ready(with_status(running()))
    assert not state.is_finished(ready)
    assert state.is_finished(with_status(phase="Succeeded"))
