"""The thin part: reads caches, asks ``plan``, writes the status of one budget at a time.

A write is bound to the version that was read: the API takes from the same status when it grants an eviction, and neither may
undo what the other wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from moorage.client import operations
from moorage.client.errors import NotFound
from moorage.client.events import EventRecorder
from moorage.client.informer import Informer
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, controller_of, is_deleting, key_of, uid_of
from moorage.client.reconcile import DONE, After, Outcome, Runner, Temporary
from moorage.client.resource import DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS
from moorage.controllers.context import Context
from moorage.controllers.disruption import plan
from moorage.controllers.endpoints.controller import NAMESPACE_INDEX, index_namespaces
from moorage.controllers.statuses import merge_change
from moorage.resources import label_selector

UID_INDEX = "uid"


class DisruptionController:
    """Keeps the status of every PodDisruptionBudget."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        informers = context.informers
        self._budgets = informers.get(POD_DISRUPTION_BUDGETS)
        self._pods = informers.get(PODS, transform=lean_pod)
        self._owners: Mapping[str, Informer] = {
            each.kind: informers.get(each) for each in (REPLICA_SETS, DEPLOYMENTS, REPLICATION_CONTROLLERS)
        }
        self._events = EventRecorder(context.client, "disruption-controller", clock=context.clock)
        self._runner: Runner[ObjectKey] = Runner("disruption", self.reconcile, workers=context.options.workers)
        index_namespaces(self._budgets)
        index_namespaces(self._pods)
        self._budgets.add_handler(self._budget_changed)
        self._pods.add_handler(self._pod_changed)
        for informer in self._owners.values():
            informer.add_index(UID_INDEX, lambda each: (uid_of(each),))
            informer.add_handler(self._owner_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._budgets, self._pods, *self._owners.values()):
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="disruption events")
            await self._runner.run()

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Look at one budget."""
        budget = self._budgets.get(*key)
        if budget is None or is_deleting(budget):
            return DONE
        now = self._clock()
        pods = plan.chosen(budget, self._pods.by_index(NAMESPACE_INDEX, key.namespace))
        if not pods:
            self._events.record(budget, "Normal", "NoPods", "No matching pods found")
        known = plan.granted(budget.get("status") or {}, pods, now)
        for pod in known.late:
            message = f"Pod was expected by PDB {key} to be deleted but it wasn't"
            self._events.record(pod, "Warning", "NotDeleted", message)
        try:
            wanted = plan.status(budget, pods, plan.expected(budget["spec"], pods, self._scale), known, now)
        except plan.NoScale as error:
            message = f"Failed to calculate the number of expected pods: {error}"
            self._events.record(budget, "Warning", "CalculateExpectedPodCountFailed", message)
            wanted = plan.failed(budget, str(error), now)
        outcome = await self._write(budget, wanted)
        return outcome if outcome is not DONE or known.again is None else After(known.again)

    async def _write(self, budget: Document, wanted: Document) -> Outcome:
        before = budget.get("status") or {}
        change = merge_change(before, wanted)
        if not change:
            return DONE
        if change.get("disruptedPods") is not None:
            # A merge patch merges maps: what is to go must be named.
            change["disruptedPods"] = merge_change(before.get("disruptedPods") or {}, wanted["disruptedPods"])
        metadata = {"uid": uid_of(budget), "resourceVersion": budget["metadata"]["resourceVersion"]}
        step = operations.patch(
            POD_DISRUPTION_BUDGETS, *key_of(budget), {"metadata": metadata, "status": change}, subresource="status"
        )
        error = (await self._client.batch([step])).results[0].error
        return DONE if error is None or isinstance(error, NotFound) else Temporary(str(error))

    def _scale(self, reference: Document) -> plan.Owner | None:
        """The owner, or its own owner where that is a Deployment, which rolls from one ReplicaSet to another."""
        owner = self._find(reference)
        if owner is None:
            return None
        above = controller_of(owner)
        if above is not None and above.get("kind") == DEPLOYMENTS.kind:
            owner = self._find(above) or owner
        return plan.Owner(uid_of(owner), int(owner["spec"].get("replicas", 1)))

    def _find(self, reference: Document) -> Document | None:
        informer = self._owners.get(str(reference.get("kind")))
        found = informer.by_index(UID_INDEX, reference["uid"]) if informer is not None else ()
        return found[0] if found else None

    def _budget_changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        self._runner.queue.add(key_of(document))

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        """Wake the budgets that counted the pod, and those that do now."""
        if not len(self._budgets):
            return
        for pod in (old, new):
            if pod is not None:
                self._wake(pod)

    def _wake(self, pod: Document) -> None:
        metadata = pod["metadata"]
        for budget in self._budgets.by_index(NAMESPACE_INDEX, metadata["namespace"]):
            if label_selector.matches((budget.get("spec") or {}).get("selector"), metadata.get("labels")):
                self._runner.queue.add(key_of(budget))

    def _owner_changed(self, old: Document | None, new: Document | None) -> None:
        owner = new or old
        assert owner is not None
        if old is not None and new is not None and old["spec"].get("replicas") == new["spec"].get("replicas"):
            return
        for budget in self._budgets.by_index(NAMESPACE_INDEX, owner["metadata"]["namespace"]):
            self._runner.queue.add(key_of(budget))
