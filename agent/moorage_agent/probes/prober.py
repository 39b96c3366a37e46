"""The probes of a pod's running containers: a task for each, thresholds, and what they add up to.

Source: API reference, Probe; the kubelet's ``prober/worker.go``: a liveness or startup probe that has failed for good is
not run again until the container is another; readiness and liveness wait for the startup probe; a failed readiness
probe only unreadies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moorage_agent.pods.observed import Health
from moorage_agent.probes.checks import Checks, Result, Target

KINDS = ("startup", "liveness", "readiness")


@dataclass(slots=True)
class _Watched:
    """A running container: what its probes have found, and their tasks."""

    target: Target
    started: asyncio.Event = field(default_factory=asyncio.Event)
    ready: bool = True
    unhealthy: str = ""
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)


class Prober:
    """Probes of one pod. ``changed`` is called when a result changes what a container is; ``failed`` gets (target, reason, text)
    for an event about each failure, and each success that is a doubtful one; ``ran`` gets (kind, target, result, seconds) of all.
    """

    def __init__(
        self,
        checks: Checks,
        changed: Callable[[], None],
        failed: Callable[[Target, str, str], None],
        ran: Callable[[str, Target, Result, float], None] = lambda *_: None,
    ) -> None:
        self._checks = checks
        self._changed = changed
        self._failed = failed
        self._ran = ran
        self._watched: dict[str, _Watched] = {}

    def follow(self, target: Target, running_for: float, *, was_ready: bool = False, was_started: bool = False) -> None:
        """Probe a running container from now on. ``was_*`` is what the API recorded of this very container before a restart
        of the agent, so that a restart unreadies nobody.
        """
        if target.id in self._watched:
            return
        watched = self._watched[target.id] = _Watched(target)
        watched.ready = was_ready or not target.container.get("readinessProbe")
        if was_started or not target.container.get("startupProbe"):
            watched.started.set()
        for kind in KINDS:
            probe = target.container.get(f"{kind}Probe")
            if probe and not (kind == "startup" and watched.started.is_set()):
                watched.tasks[kind] = asyncio.create_task(
                    self._run(kind, probe, watched, running_for), name=f"{kind} probe of {target.id[:12]}"
                )

    def forget(self, identity: str) -> None:
        """The container has ended."""
        watched = self._watched.pop(identity, None)
        for task in watched.tasks.values() if watched else ():
            task.cancel()

    def only_readiness(self) -> None:
        """The pod is ending: nothing may restart a container any more."""
        for watched in self._watched.values():
            for kind in ("startup", "liveness"):
                if kind in watched.tasks:
                    watched.tasks[kind].cancel()
            watched.unhealthy = ""

    def health(self) -> Mapping[str, Health]:
        """What is known, by container id."""
        return {
            identity: Health(one.started.is_set(), one.ready, one.unhealthy) for identity, one in self._watched.items()
        }

    def ids(self) -> set[str]:
        """The containers that are followed."""
        return set(self._watched)

    def close(self) -> None:
        """Stop all."""
        for identity in list(self._watched):
            self.forget(identity)

    async def _run(self, kind: str, probe: Mapping[str, Any], watched: _Watched, running_for: float) -> None:
        probed_from = time.monotonic() - running_for + float(probe.get("initialDelaySeconds") or 0)
        if kind != "startup":
            await watched.started.wait()
        delay = probed_from - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)
        period = float(probe.get("periodSeconds") or 10)
        timeout = float(probe.get("timeoutSeconds") or 1)
        goals = {True: int(probe.get("successThreshold") or 1), False: int(probe.get("failureThreshold") or 3)}
        last, count = None, 0
        next_at = time.monotonic()
        while True:
            begun = time.monotonic()
            result = await self._checks.run(probe, watched.target, timeout)
            self._ran(kind, watched.target, result, time.monotonic() - begun)
            self._tell(kind, result, watched.target)
            if not result.unknown:
                count = count + 1 if result.ok is last else 1
                last = result.ok
                if count >= goals[result.ok] and self._settle(kind, result, watched):
                    return
            next_at = max(next_at + period, time.monotonic())
            await asyncio.sleep(next_at - time.monotonic())

    def _tell(self, kind: str, result: Result, target: Target) -> None:
        name = kind.capitalize()
        if result.unknown:
            text = f"{name} probe errored and resulted in unknown state: {result.message}"
            self._failed(target, "Unhealthy", text)
        elif not result.ok:
            self._failed(target, "Unhealthy", f"{name} probe failed: {result.message}")
        elif result.message:
            self._failed(target, "ProbeWarning", f"{name} probe warning: {result.message}")

    def _settle(self, kind: str, result: Result, watched: _Watched) -> bool:
        """A threshold is reached. Returns whether this probe is done."""
        if kind == "readiness":
            if watched.ready is not result.ok:
                watched.ready = result.ok
                self._changed()
            return False
        if result.ok:
            if kind == "startup":
                watched.started.set()
                self._changed()
            return kind == "startup"
        watched.unhealthy = kind
        self._changed()
        return True
