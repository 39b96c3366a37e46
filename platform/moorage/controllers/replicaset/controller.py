"""The thin part: reads caches, asks ``plan``, writes pods in batches and the status. For ReplicaSets, and for the
ReplicationControllers that came before them, which are looked at as if they were ReplicaSets.

Source: Kubernetes' ``pkg/controller/replicaset/replica_set.go``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from moorage.client import operations
from moorage.client.errors import ApiError, Forbidden, NotFound
from moorage.client.events import EventRecorder
from moorage.client.expectations import Expectations
from moorage.client.informer import Transform, without_managed_fields
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, controller_of, is_deleting, key_of, uid_of
from moorage.client.operations import Result
from moorage.client.reconcile import DONE, After, Outcome, Runner, Temporary
from moorage.client.resource import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS
from moorage.controllers import claims
from moorage.controllers.context import Context
from moorage.controllers.pods import ORPHAN_INDEX, OWNER_INDEX, index_owners, is_active
from moorage.controllers.replicaset.plan import Failure, plan, pod_from, slow_start, status
from moorage.controllers.statuses import status_patch
from moorage.resources import label_selector

log = logging.getLogger(__name__)


class ReplicaSetController:
    """Keeps the pods of every ReplicaSet at the wanted number."""

    resource = REPLICA_SETS
    transform: Transform = staticmethod(without_managed_fields)

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        name = self.resource.kind.lower()
        self._sets = context.informers.get(self.resource, transform=self.transform)
        self._pods = context.informers.get(PODS, transform=lean_pod)
        self._events = EventRecorder(context.client, f"{name}-controller", clock=context.clock)
        self._expected = Expectations()
        self._runner: Runner[ObjectKey] = Runner(name, self.reconcile, workers=context.options.workers)
        index_owners(self._pods)
        index_owners(self._sets)
        self._sets.add_handler(self._set_changed)
        self._pods.add_handler(self._pod_changed)

    def known_status(self, status: Document) -> Document:
        """``status`` without what this kind has no field for."""
        return status

    async def run(self) -> None:
        """Work until cancelled."""
        await self._sets.wait_synced()
        await self._pods.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name=f"{self.resource.kind} events")
            await self._runner.run()

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Look at one ReplicaSet."""
        replica_set = self._sets.get(*key)
        if replica_set is None:
            return DONE
        uid = uid_of(replica_set)
        may_act = self._expected.satisfied(uid)
        pods = await self._claim(replica_set)
        failure = await self._manage(replica_set, pods) if may_act else self._standing_failure(replica_set)
        new_status, again = status(replica_set, pods, failure, self._clock())
        change = status_patch(self.resource, replica_set, self.known_status(new_status))
        if change is not None:
            result = (await self._client.batch([change])).results[0]
            if result.error is not None and not isinstance(result.error, NotFound):
                return Temporary(str(result.error))
        if failure is not None and may_act:
            return Temporary(failure.message)
        return DONE if again is None else After(again)

    async def _claim(self, replica_set: Document) -> list[Document]:
        """The pods of ``replica_set``, after adopting and releasing. What is adopted counts at once."""
        namespace = replica_set["metadata"]["namespace"]
        candidates = self._pods.by_index(OWNER_INDEX, uid_of(replica_set))
        candidates += [pod for pod in self._pods.by_index(ORPHAN_INDEX, namespace) if is_active(pod)]
        claim = claims.claim(replica_set, candidates)
        if claim.adopt:
            await self._check_alive(replica_set)
        changes = [claims.adoption(PODS, replica_set, pod) for pod in claim.adopt]
        changes += [claims.release(PODS, replica_set, pod) for pod in claim.release]
        if not changes:
            return claim.owned
        results = (await self._client.batch(changes)).results
        adopted = [pod for pod, result in zip(claim.adopt, results, strict=False) if result.ok]
        for result in results:
            if result.error is not None and not isinstance(result.error, NotFound):
                raise result.error
        return claim.owned + adopted

    async def _check_alive(self, replica_set: Document) -> None:
        """The cache may lag: never adopt in the name of an owner that is gone or going. Raises NotFound."""
        key = key_of(replica_set)
        live = await self._client.get(self.resource, key.name, key.namespace)
        if uid_of(live) != uid_of(replica_set) or is_deleting(live):
            raise NotFound(404, {"message": f"{self.resource.kind} {key} is gone", "reason": "NotFound"})

    async def _manage(self, replica_set: Document, pods: Sequence[Document]) -> Failure | None:
        active = [pod for pod in pods if is_active(pod)]
        step = plan(replica_set, active, self._related(replica_set), self._clock())
        if step.create:
            return await self._create(replica_set, step.create)
        if step.delete:
            return await self._delete(replica_set, step.delete)
        return None

    def _related(self, replica_set: Document) -> list[Document]:
        """Pods of all ReplicaSets that have the same owner as this one."""
        owner = controller_of(replica_set)
        siblings = self._sets.by_index(OWNER_INDEX, owner["uid"]) if owner else [replica_set]
        return [pod for each in siblings for pod in self._pods.by_index(OWNER_INDEX, uid_of(each))]

    async def _create(self, replica_set: Document, count: int) -> Failure | None:
        uid = uid_of(replica_set)
        self._expected.expect(uid, creations=count)
        pod = pod_from(replica_set)
        left = count
        try:
            for size in slow_start(count):
                results = (await self._client.batch([operations.create(pod)] * size)).results
                left -= size
                failed = [result.error for result in results if result.error is not None]
                self._expected.created(uid, len(failed))
                self._note_created(replica_set, results)
                if failed:
                    return _failure("FailedCreate", failed[0])
        finally:
            self._expected.created(uid, left)
        return None

    def _note_created(self, replica_set: Document, results: Sequence[Result]) -> None:
        for result in results:
            if result.error is None:
                self._events.record(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {result.name}")
            elif not _terminating(result.error):
                self._events.record(replica_set, "Warning", "FailedCreate", f"Error creating: {result.error}")

    async def _delete(self, replica_set: Document, pods: Sequence[Document]) -> Failure | None:
        uid = uid_of(replica_set)
        self._expected.expect(uid, deletions=[uid_of(pod) for pod in pods])
        try:
            changes = [operations.delete(PODS, *key_of(pod), uid=uid_of(pod)) for pod in pods]
            results = (await self._client.batch(changes)).results
        except BaseException:
            for pod in pods:
                self._expected.deleted(uid, uid_of(pod))
            raise
        failure = None
        for pod, result in zip(pods, results, strict=True):
            name = pod["metadata"]["name"]
            if result.error is None:
                self._events.record(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
                continue
            self._expected.deleted(uid, uid_of(pod))
            if not isinstance(result.error, NotFound):
                self._events.record(replica_set, "Warning", "FailedDelete", f"Error deleting: {result.error}")
                failure = failure or _failure("FailedDelete", result.error)
        return failure

    def _standing_failure(self, replica_set: Document) -> Failure | None:
        for entry in (replica_set.get("status") or {}).get("conditions") or ():
            if entry.get("type") == "ReplicaFailure":
                return Failure(str(entry.get("reason")), str(entry.get("message")))
        return None

    def _set_changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        if new is None:
            self._expected.forget(uid_of(document))
        self._runner.queue.add(key_of(document))

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        owner, owner_before = new and controller_of(new), old and controller_of(old)
        pod = new or old
        assert pod is not None
        if owner_before and (owner is None or owner["uid"] != owner_before["uid"]):
            self._expected.deleted(owner_before["uid"], uid_of(pod))
            self._wake(pod, owner_before)
        if new is None:
            return
        if owner:
            if old is None:
                self._expected.created(owner["uid"])
            if is_deleting(new):
                self._expected.deleted(owner["uid"], uid_of(new))
            self._wake(new, owner)
        elif old is None or old["metadata"].get("labels") != new["metadata"].get("labels") or owner_before:
            self._wake_adopters(new)

    def _wake(self, pod: Document, owner: Document) -> None:
        if owner["kind"] == self.resource.kind:
            self._runner.queue.add(ObjectKey(pod["metadata"]["namespace"], owner["name"]))

    def _wake_adopters(self, pod: Document) -> None:
        """An orphan may be wanted by any ReplicaSet of its namespace whose selector matches."""
        metadata = pod["metadata"]
        for replica_set in self._sets:
            same = replica_set["metadata"]["namespace"] == metadata["namespace"]
            if same and label_selector.matches(replica_set["spec"].get("selector"), metadata.get("labels")):
                self._runner.queue.add(key_of(replica_set))


def as_replica_set(controller: Document) -> Document:
    """A ReplicationController whose selector is written as that of a ReplicaSet is; all else is alike."""
    without_managed_fields(controller)
    spec = controller["spec"]
    spec["selector"] = {"matchLabels": spec.get("selector") or {}}
    return controller


class ReplicationControllerController(ReplicaSetController):
    """Keeps the pods of every ReplicationController at the wanted number."""

    resource = REPLICATION_CONTROLLERS
    transform: Transform = staticmethod(as_replica_set)

    def known_status(self, status: Document) -> Document:
        """Its status does not count pods that are going."""
        return {name: value for name, value in status.items() if name != "terminatingReplicas"}


def _failure(reason: str, error: ApiError) -> Failure | None:
    return None if _terminating(error) else Failure(reason, str(error))


def _terminating(error: ApiError) -> bool:
    """A namespace that is going away refuses new pods: nothing is wrong, and nothing is left to do."""
    return isinstance(error, Forbidden) and any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes)
