"""Hands the status of one pod to the writer, and tells of its back-offs and of how long it took to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage_agent.pods import actions, status
from moorage_agent.pods.observed import END, Observed
from moorage_agent.timestamps import seconds

if TYPE_CHECKING:
    from moorage_agent.pods.worker import PodWorker

Document = dict[str, Any]

SETTLE_FIRST, SETTLE = 0.1, 1.0
"""Seconds for which a status on the way to Running waits for a better one: the pod's first, and later ones."""


class Reporting:
    """The reports of one pod's worker."""

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._report_at = 0.0
        self._begun = (worker.pod.get("status") or {}).get("phase") not in (None, "Pending")
        self._told: dict[str, str] = {}

    def report(self, seen: Observed, decision: actions.Plan, now: float, *, starting: bool) -> None:
        """The status at ``now``. One that is about to get better (``starting``: something is under way) waits a moment.

        Once containers are removed there is nothing left to tell: the last word was that they have ended. Only of a pod that a
        finalizer holds back, and whose last word the API has, is said that its sandbox is gone.
        """
        worker = self._worker
        if worker.termination is not None and (seen.cleaned or END in seen.busy):
            final = (worker.pod.get("status") or {}).get("phase") in status.FINAL
            if not (seen.cleaned and final and worker.pod["metadata"].get("finalizers")):
                return
        decision.failed = decision.failed or worker.failed
        host = status.HostFacts(worker.node.facts.host_ip)
        document = status.pod_status(worker.pod, seen, decision, now, host, worker)
        improving = document["phase"] == "Pending" and not decision.waiting and starting
        if improving and worker.termination is None:
            self._report_at = self._report_at or now + SETTLE_FIRST
            if now < self._report_at:
                decision.wake(self._report_at)
                return
            self._report_at = now + SETTLE
        self._count_start(document, now)
        shown = worker.shown
        if shown is not None:
            worker.node.status.submit(shown, document)

    def _count_start(self, document: Document, now: float) -> None:
        """The first time that a pod of this agent's own start runs."""
        if document["phase"] != "Running" or self._begun:
            return
        self._begun = True
        worker = self._worker
        created = seconds(worker.pod["metadata"].get("creationTimestamp") or "")
        worker.node.meters.pod_start.observe(now - worker.seen_at)
        if created:
            worker.node.meters.pod_start_total.observe(max(0.0, now - created))

    def tell_back_offs(self, seen: Observed, decision: actions.Plan) -> None:
        """One event for each end that is followed by a wait."""
        metadata = self._worker.pod["metadata"]
        for name, waiting in decision.waiting.items():
            last = seen.last(name)
            if waiting.reason == "CrashLoopBackOff" and last is not None and self._told.get(name) != last.container.id:
                self._told[name] = last.container.id
                where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
                text = f"Back-off restarting failed container {name} in pod {where}"
                self._worker.tell("Warning", "BackOff", text, name)
