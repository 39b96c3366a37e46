"""Carries preemption out: knows who is on the way out, tells victims why and deletes them, names the node that is cleared."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from moorage.client import operations
from moorage.client.api import ApiClient
from moorage.client.errors import ClientError, NotFound
from moorage.client.events import EventRecorder
from moorage.client.informer import Informer
from moorage.client.objects import timestamp
from moorage.client.operations import STRATEGIC_PATCH, Operation
from moorage.client.resource import PODS
from moorage.resources.policy import DISRUPTION_TARGET
from moorage.scheduler.nodetable import NodeTable
from moorage.scheduler.nominations import Nominations
from moorage.scheduler.place import Placement, Placer
from moorage.scheduler.podinfo import PodInfo, Profile, reference
from moorage.scheduler.preemption import Preemptor, Victims

log = logging.getLogger(__name__)

MOST = 8
"""Pods for which room is looked for without letting the event loop breathe: 15 ms each among 1,000 nodes."""


@dataclass(slots=True)
class Clearing:
    """What one round of preemption comes to. ``later``: uids of pods that there was no time for; ``displaced``: pods that
    lose the place that was kept for them.
    """

    cleared: list[tuple[PodInfo, Victims]] = field(default_factory=list)
    displaced: list[PodInfo] = field(default_factory=list)
    later: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.cleared or self.displaced)


class Preemption:
    """For the scheduler's event loop."""

    def __init__(
        self, client: ApiClient, budgets: Informer, table: NodeTable, placer: Placer, nominations: Nominations
    ) -> None:
        self._client = client
        self._budgets = budgets
        self._table = table
        self._nominations = nominations
        self._preemptor = Preemptor(table, placer)
        self.going: set[str] = set()
        """Uids of pods that are on their way out, or soon will be."""

    def plan(self, failed: Iterable[Placement]) -> Clearing:
        """Choose victims for pods that found no node; the chosen nodes are kept for them from now on."""
        found = Clearing()
        hopeless: set[tuple[Profile, int]] = set()
        budgets = None
        for pod in (each.pod for each in failed):
            nominated = self._nominations.node_of(pod.uid)
            if not pod.preempts or self._is_waiting(pod, nominated):
                continue
            if not nominated and (pod.profile, pod.priority) in hopeless:
                continue
            if len(found.cleared) >= MOST:
                found.later.add(pod.uid)
                continue
            budgets = list(self._budgets) if budgets is None else budgets
            victims = self._preemptor.choose(pod, budgets, self.going)
            if victims is not None:
                self._keep(pod, victims, found)
                continue
            if self._nominations.drop(pod.uid):
                found.displaced.append(pod)
            if not pod.profile.topological and not pod.claims and not pod.devices:
                hopeless.add((pod.profile, pod.priority))
        return found

    def _is_waiting(self, pod: PodInfo, node: str) -> bool:
        """Whether pods that make room for it are still there."""
        index = self._table.by_name.get(node)
        if index is None:
            return False
        there = self._table.rows[index].pods.values()
        return any(each.uid in self.going and each.priority < pod.priority for each in there)

    def _keep(self, pod: PodInfo, victims: Victims, found: Clearing) -> None:
        for other in self._nominations.below(pod, victims.node):
            self._nominations.drop(other.uid)
            found.displaced.append(other)
        self._nominations.put(pod, victims.node)
        self.going.update(each.uid for each in victims.pods)
        found.cleared.append((pod, victims))

    async def carry_out(self, clearing: Clearing, events: EventRecorder, now: float) -> bool:
        """Delete the victims, gracefully, and say what for. Returns whether all of it was done."""
        victims = [(pod, each) for pod, found in clearing.cleared for each in found.pods]
        steps: list[Operation] = [step for _, each in victims for step in _ending(each, timestamp(now))]
        steps += [_nomination(pod, found.node) for pod, found in clearing.cleared]
        steps += [_nomination(pod, "") for pod in clearing.displaced]
        try:
            results = (await self._client.batch(steps)).results
        except ClientError as error:
            log.warning("ending %d pods for more important ones: %s", len(victims), error)
            self.going.difference_update(each.uid for _, each in victims)
            return False
        done = True
        nodes = {pod.uid: found.node for pod, found in clearing.cleared}
        for (pod, each), result in zip(victims, results[1 : 2 * len(victims) : 2], strict=True):
            if result.error is None:
                message = f"Preempted by pod {pod.uid} on node {nodes[pod.uid]}"
                events.record(reference(each), "Normal", "Preempted", message)
            elif not isinstance(result.error, NotFound):
                log.warning("pod %s: it was to make room for %s: %s", each.key, pod.key, result.error)
                self.going.discard(each.uid)
                done = False
        return done


def _ending(victim: PodInfo, now: str) -> Sequence[Operation]:
    entry = {
        "type": DISRUPTION_TARGET,
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "default-scheduler: preempting to accommodate a higher priority pod",
        "lastTransitionTime": now,
    }
    change = {"metadata": {"uid": victim.uid}, "status": {"conditions": [entry]}}
    return (
        operations.patch(PODS, *victim.key, change, subresource="status", patch_type=STRATEGIC_PATCH),
        operations.delete(PODS, *victim.key, uid=victim.uid),
    )


def _nomination(pod: PodInfo, node: str) -> Operation:
    change = {"metadata": {"uid": pod.uid}, "status": {"nominatedNodeName": node or None}}
    return operations.patch(PODS, *pod.key, change, subresource="status")
