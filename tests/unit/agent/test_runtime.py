"""What the node says of its engine."""

from __future__ import annotations

import asyncio
from typing import Any

from moorage_agent.engine.fake import FakeEngine
from moorage_agent.node import document
from moorage_agent.node.machine import Pressure
from moorage_agent.node.runtime import Runtime


def _ready(engine: document.Engine) -> tuple[str, str, str]:
    found = document.conditions({}, engine, Pressure(), 100.0)
    ready = next(one for one in found if one["type"] == "Ready")
    return ready["status"], ready["reason"], ready["message"]


async def test_an_engine_that_answers_is_well_and_named() -> None:
    info: dict[str, Any] = {}
    assert await Runtime(FakeEngine(), info).check() == document.Engine(True)
    assert info == {"containerRuntimeVersion": "fake://0"}


async def test_an_engine_that_hangs_is_down_after_the_deadline(monkeypatch: Any) -> None:
    engine = FakeEngine()

    async def hang(_reference: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(engine, "image", hang)
    runtime = Runtime(engine, {}, deadline=0.05)
    assert _ready(await runtime.check()) == (
        "False",
        "KubeletNotReady",
        "container runtime is down: no answer within 0.05 s",
    )
    monkeypatch.undo()
    assert (await runtime.check()).ready


async def test_containers_that_cannot_be_listed_make_the_node_unready() -> None:
    runtime = Runtime(FakeEngine(), {}, lambda: 185.7)
    text = "PLEG is not healthy: pleg was last seen active 3m5s ago; threshold is 3m0s"
    assert _ready(await runtime.check()) == ("False", "KubeletNotReady", text)
    assert (await Runtime(FakeEngine(), {}, lambda: 180.0).check()).stalled == ""


async def test_everything_that_is_wrong_is_told() -> None:
    engine = FakeEngine()
    engine.available = False
    status, _, message = _ready(await Runtime(engine, {}, lambda: 200.0).check())
    assert status == "False"
    assert message.startswith("[container runtime is down: ")
    assert message.endswith(", PLEG is not healthy: pleg was last seen active 3m20s ago; threshold is 3m0s]")


def test_changes_of_a_node_are_told_in_the_kubelets_words() -> None:
    def status(engine: document.Engine, pressure: Pressure, boot: str = "one") -> dict[str, Any]:
        return {"nodeInfo": {"bootID": boot}, "conditions": document.conditions({}, engine, pressure, 100.0)}

    down, up = document.Engine(False, "why"), document.Engine(True)
    first = [reason for _, reason, _ in document.news("n", {}, status(down, Pressure()))]
    assert first == ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]
    told = document.news("n", status(down, Pressure()), status(up, Pressure(disk=True, pids=True)))
    assert told == [
        ("Normal", "NodeHasDiskPressure", "Node n status is now: NodeHasDiskPressure"),
        ("Normal", "NodeHasInsufficientPID", "Node n status is now: NodeHasInsufficientPID"),
        ("Normal", "NodeReady", "Node n status is now: NodeReady"),
    ]
    assert document.news("n", status(up, Pressure()), status(up, Pressure())) == []
    assert document.news("n", status(up, Pressure()), status(up, Pressure(), boot="two")) == [
        ("Warning", "Rebooted", "Node n has been rebooted, boot id: two")
    ]
    unknown = {"conditions": [{"type": "Ready", "status": "Unknown"}], "nodeInfo": {"bootID": "one"}}
    assert ("Normal", "NodeReady", "Node n status is now: NodeReady") in document.news(
        "n", unknown, status(up, Pressure())
    )
