"""Which pods a node ends when something runs short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moorage_agent.node import eviction
from moorage_agent.node.disk import Own, Taken
from moorage_agent.node.eviction import Candidate, Steady
from moorage_agent.node.machine import Pressure
from moorage_agent.node.thresholds import MEMORY, PIDS, Met
from moorage_agent.volumes.disk import size

MI = 2**20


def pod(memory: str = "", *, priority: int = 0, **spec: Any) -> dict[str, Any]:
    """A pod of one container that asks for so much memory."""
    requests = {"memory": memory} if memory else {}
    container = {"name": "c", "resources": {"requests": requests}}
    return {"spec": {"containers": [container], "priority": priority, **spec}}


def chosen(*candidates: Candidate, resource: str = MEMORY) -> str:
    found = eviction.first(candidates, resource)
    return found.uid if found else ""


def test_who_uses_more_than_asked_goes_first() -> None:
    within = Candidate("within", pod("100Mi", priority=0), 90 * MI)
    beyond = Candidate("beyond", pod("10Mi", priority=1000), 20 * MI)
    assert chosen(within, beyond) == "beyond"


def test_then_the_less_important_then_the_larger() -> None:
    low, high = Candidate("low", pod(priority=1), 10 * MI), Candidate("high", pod(priority=2), 500 * MI)
    assert chosen(high, low) == "low"
    small, large = Candidate("small", pod("50Mi"), 60 * MI), Candidate("large", pod("500Mi"), 520 * MI)
    assert chosen(small, large) == "large"


def test_the_system_is_spared() -> None:
    system = Candidate("system", pod(priority=eviction.CRITICAL), 900 * MI)
    assert chosen(system) == ""
    assert chosen(system, Candidate("user", pod("1Gi"), 1 * MI)) == "user"


def test_processes_count_by_priority_and_number() -> None:
    few, many = Candidate("few", pod(), 3), Candidate("many", pod(), 3000)
    assert chosen(few, many, resource=PIDS) == "many"
    met = Met("pid.available", 5000.0, 1234.0)
    text = "The node was low on resource: pids. Threshold quantity: 5k, available: 1234. "
    assert eviction.message(many, met) == text


def test_what_is_said_names_use_and_request() -> None:
    met = Met("memory.available", 100 * MI, 50 * MI - 4096)
    text = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51196Ki. "
    more = "Container c was using 20001Ki, request is 10Mi, has larger consumption of memory. "
    assert eviction.message(Candidate("u", pod("10Mi"), 0.0, {"c": 20001 * 1024 + 5}), met) == text + more
    assert eviction.message(Candidate("u", pod("30Mi"), 0.0, {"c": 20 * MI}), met) == text


@pytest.mark.parametrize(
    ("pressure", "spec", "quality", "said"),
    [
        (Pressure(), {}, "BestEffort", ""),
        (Pressure(memory=True), {}, "BestEffort", "The node had condition: [MemoryPressure]. "),
        (Pressure(memory=True), {}, "Burstable", ""),
        (Pressure(memory=True, disk=True), {}, "Burstable", "The node had condition: [MemoryPressure DiskPressure]. "),
        (Pressure(pids=True), {}, "Guaranteed", "The node had condition: [PIDPressure]. "),
        (Pressure(pids=True), {"priority": eviction.CRITICAL}, "BestEffort", ""),
        (Pressure(memory=True), {"tolerations": [{"operator": "Exists"}]}, "BestEffort", ""),
        (
            Pressure(memory=True),
            {"tolerations": [{"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}]},
            "BestEffort",
            "",
        ),
        (
            Pressure(disk=True),
            {"tolerations": [{"operator": "Exists"}]},
            "Burstable",
            "The node had condition: [DiskPressure]. ",
        ),
    ],
)
def test_whom_a_node_under_pressure_does_not_take_on(
    pressure: Pressure, spec: dict[str, Any], quality: str, said: str
) -> None:
    assert eviction.refusal({"spec": {"containers": [], **spec}, "status": {"qosClass": quality}}, pressure) == said


@pytest.mark.parametrize(
    ("volumes", "own", "said"),
    [
        ({"cache": 0.9 * MI}, {}, ""),
        ({"cache": 1.1 * MI}, {}, 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '),
        ({"other": 4 * MI}, {}, "Pod ephemeral local storage usage exceeds the total limit of containers 3Mi. "),
        ({"cache": 0.5 * MI, "other": 1 * MI}, {}, ""),
        ({}, {"c": Own(1.2 * MI, 0.7 * MI)}, ""),
        (
            {},
            {"c": Own(1.2 * MI, 0.9 * MI)},
            'Container c exceeded its local ephemeral storage limit "2Mi". ',
        ),
        (
            {"other": 1 * MI},
            {"c": Own(1.2 * MI), "free": Own(log=1 * MI)},
            "Pod ephemeral local storage usage exceeds the total limit of containers 3Mi. ",
        ),
        ({}, {"free": Own(2.5 * MI)}, ""),
    ],
)
def test_limits_of_disk(volumes: dict[str, float], own: dict[str, Own], said: str) -> None:
    """A container's layer and log count for it; all that a pod has, against the sum of what its containers may."""
    declared = [{"name": "cache", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "other", "emptyDir": {}}]
    document = pod(volumes=declared)
    document["spec"]["containers"][0]["resources"]["limits"] = {"ephemeral-storage": "2Mi"}
    sidecar = {"name": "sidecar", "restartPolicy": "Always", "resources": {"limits": {"ephemeral-storage": "1Mi"}}}
    document["spec"] |= {"initContainers": [sidecar]}
    document["spec"]["containers"].append({"name": "free"})
    assert eviction.limits(document)
    assert eviction.beyond(document, Taken(volumes, own)) == said
    signals = {"U": "emptydirfs.limit", "P": "ephemeralpodfs.limit", "C": "ephemeralcontainerfs.limit"}
    assert not said or eviction.limit_of(said) == signals[said[0]]


def test_memory_volumes_have_limits_of_their_own() -> None:
    assert not eviction.limits(pod(volumes=[{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]))


def test_a_pressure_is_reported_for_a_while() -> None:
    steady = Steady(transition=300)
    assert steady.of(Pressure(memory=True), 0.0) == Pressure(memory=True)
    assert steady.of(Pressure(), 299.0) == Pressure(memory=True)
    assert steady.of(Pressure(disk=True), 301.0) == Pressure(disk=True)


def test_size_counts_what_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "link").symlink_to("/usr")
    assert 100_000 <= size(tmp_path) < 200_000
    assert size(tmp_path / "none") == 0.0
