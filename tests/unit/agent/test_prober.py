"""What probes add up to: thresholds, delays, what they wait for, and that none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from moorage_agent.probes.checks import Checks, Result, Target
from moorage_agent.probes.prober import Prober
from tests.support.wait import until

SOON = 0.01
OK, BAD, LOST = Result(True), Result(False, "no"), Result(False, "who knows", unknown=True)


@dataclass
class Script:
    """Says of each container what it was told to say, one result after the other, the last one for ever; None hangs."""

    results: dict[str, list[Result | None]] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)

    async def run(self, _handler: Any, target: Target, _timeout: float) -> Result:
        self.runs[target.id] = self.runs.get(target.id, 0) + 1
        told = self.results[target.id]
        result = told.pop(0) if len(told) > 1 else told[0]
        if result is None:
            await asyncio.Event().wait()
        assert result is not None
        return result


@dataclass
class Bench:
    """A prober, its script and what it told."""

    script: Script = field(default_factory=Script)
    told: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prober = Prober(cast("Checks", self.script), lambda: None, self._tell)

    def _tell(self, _target: Target, reason: str, text: str) -> None:
        self.told.append((reason, text))

    def follow(self, name: str, *results: Result | None, ran: float = 0.0, **probes: Any) -> None:
        self.script.results[name] = list(results)
        timing = {"periodSeconds": SOON, "timeoutSeconds": 1}
        container = {"name": name, **{f"{kind}Probe": {**timing, **probe} for kind, probe in probes.items()}}
        self.prober.follow(Target(name, container, "10.0.0.1"), ran)

    def runs(self, name: str) -> int:
        return self.script.runs.get(name, 0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.prober.close()


async def test_thresholds_count_in_a_row(bench: Bench) -> None:
    probe = {"failureThreshold": 2, "successThreshold": 2}
    bench.follow("c", OK, BAD, OK, OK, BAD, OK, BAD, BAD, readiness=probe)
    await until(lambda: bench.prober.health()["c"].ready, every=0.001)
    assert bench.runs("c") == 4
    await until(lambda: not bench.prober.health()["c"].ready, every=0.001)
    assert bench.runs("c") == 8


async def test_what_is_not_known_counts_neither_way(bench: Bench) -> None:
    bench.follow("c", BAD, LOST, BAD, LOST, LOST, liveness={"failureThreshold": 3})
    await until(lambda: bench.runs("c") > 8, every=0.001)
    assert bench.prober.health()["c"].unhealthy == ""
    assert ("Unhealthy", "Liveness probe failed: no") in bench.told
    assert ("Unhealthy", "Liveness probe errored and resulted in unknown state: who knows") in bench.told


async def test_a_doubtful_success_is_told(bench: Bench) -> None:
    bench.follow("c", Result(True, "look at this"), liveness={})
    await until(lambda: bool(bench.told), every=0.001)
    assert bench.told[0] == ("ProbeWarning", "Liveness probe warning: look at this")
    assert bench.prober.health()["c"].unhealthy == ""


async def test_delays_run_from_the_start_of_the_container(bench: Bench) -> None:
    """Not from the end of the startup probe: a container that took a minute to start is not left alone for another."""
    bench.follow("c", OK, ran=60.0, startup={"failureThreshold": 99}, readiness={"initialDelaySeconds": 50})
    await until(lambda: bench.prober.health()["c"].ready, timeout=5, every=0.001)


async def test_nothing_is_asked_before_the_startup_probe_holds(bench: Bench) -> None:
    bench.follow("c", BAD, BAD, OK, startup={"failureThreshold": 9}, readiness={})
    assert not bench.prober.health()["c"].started
    await until(lambda: bench.prober.health()["c"].ready, every=0.001)
    assert bench.runs("c") == 4
    assert [text for _, text in bench.told] == ["Startup probe failed: no"] * 2


async def test_a_probe_that_hangs_holds_up_no_other(bench: Bench) -> None:
    bench.follow("hangs", None, readiness={}, liveness={})
    bench.follow("quick", OK, readiness={})
    await until(lambda: bench.runs("quick") > 5, every=0.001)
    assert bench.prober.health()["quick"].ready
    assert not bench.prober.health()["hangs"].ready


async def test_a_pod_that_ends_is_asked_only_whether_it_is_ready(bench: Bench) -> None:
    bench.follow("c", OK, liveness={}, readiness={})
    await until(lambda: bench.runs("c") > 2, every=0.001)
    bench.prober.only_readiness()
    bench.script.results["c"] = [BAD]
    await until(lambda: not bench.prober.health()["c"].ready, every=0.001)
    assert {text for _, text in bench.told} == {"Readiness probe failed: no"}
    assert bench.prober.health()["c"].unhealthy == ""
