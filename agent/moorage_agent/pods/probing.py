"""Has the containers of one pod probed while they run, and says in events and meters what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from moorage_agent.pods.observed import Health, every_container
from moorage_agent.probes.checks import Result, Target
from moorage_agent.probes.prober import Prober

if TYPE_CHECKING:
    from moorage_agent.pods.worker import PodWorker


class Probing:
    """The probes of one pod's worker."""

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._prober = Prober(worker.node.checks, worker.wake, self._failed, self._ran)

    def health(self) -> Mapping[str, Health]:
        """What is known, by container id."""
        return self._prober.health()

    def close(self) -> None:
        """Stop all."""
        self._prober.close()

    def follow(self, now: float, busy: Collection[str]) -> None:
        """Probe what runs at ``now``, and nothing else; names in ``busy`` are being started or ended."""
        worker, prober = self._worker, self._prober
        running = {one.container.id: one for one in worker.running()}
        for identity in prober.ids() - set(running):
            prober.forget(identity)
        if worker.termination is not None:
            prober.only_readiness()
            return
        known = {one["name"] for one in every_container(worker.pod)}
        for identity, attempt in running.items():
            if attempt.name in known and attempt.name not in busy and identity not in prober.ids():
                recorded = self._recorded(identity)
                prober.follow(
                    Target(identity, worker.container(attempt.name), worker.pod_ip()),
                    now - attempt.container.started,
                    was_ready=bool(recorded.get("ready")),
                    was_started=bool(recorded.get("started")),
                )

    def _recorded(self, identity: str) -> Mapping[str, Any]:
        """What the API knows of a container."""
        state = self._worker.pod.get("status") or {}
        for field in ("containerStatuses", "initContainerStatuses"):
            for entry in state.get(field) or ():
                if entry.get("containerID") == f"docker://{identity}":
                    return dict(entry)
        return {}

    def _failed(self, target: Target, reason: str, text: str) -> None:
        self._worker.tell("Warning", reason, text, str(target.container["name"]))

    def _ran(self, kind: str, target: Target, result: Result, seconds: float) -> None:
        word = "unknown" if result.unknown else ("successful" if result.ok else "failed")
        worker = self._worker
        worker.node.meters.probed(kind, word, worker.pod, str(target.container["name"]), seconds)
