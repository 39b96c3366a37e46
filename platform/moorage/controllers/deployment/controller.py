"""The thin part: reads caches, asks ``plan``, writes it in one batch, says what was scaled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from moorage.client import operations
from moorage.client.errors import AlreadyExists, ApiError, Conflict, NotFound
from moorage.client.events import EventRecorder
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, controller_of, is_deleting, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.reconcile import DONE, After, Outcome, Permanent, Runner, Temporary
from moorage.client.resource import DEPLOYMENTS, PODS, REPLICA_SETS
from moorage.controllers import claims
from moorage.controllers.context import Context
from moorage.controllers.deployment import status as conditions
from moorage.controllers.deployment.plan import Plan, Resize, plan
from moorage.controllers.deployment.revisions import same_template
from moorage.controllers.deployment.view import DeploymentView
from moorage.controllers.pods import FINISHED, ORPHAN_INDEX, OWNER_INDEX, index_owners, phase
from moorage.controllers.statuses import status_patch
from moorage.resources import label_selector

log = logging.getLogger(__name__)


class DeploymentController:
    """Brings the ReplicaSets of every Deployment to its template and size."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._deployments = context.informers.get(DEPLOYMENTS)
        self._sets = context.informers.get(REPLICA_SETS)
        self._pods = context.informers.get(PODS, transform=lean_pod)
        self._events = EventRecorder(context.client, "deployment-controller", clock=context.clock)
        self._runner: Runner[ObjectKey] = Runner("deployment", self.reconcile, workers=context.options.workers)
        index_owners(self._sets)
        index_owners(self._pods)
        self._deployments.add_handler(self._deployment_changed)
        self._sets.add_handler(self._set_changed)
        self._pods.add_handler(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._deployments, self._sets, self._pods):
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="deployment events")
            await self._runner.run()

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Look at one Deployment."""
        deployment = self._deployments.get(*key)
        if deployment is None:
            return DONE
        if deployment["spec"].get("selector") == {}:
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self._events.record(deployment, "Warning", "SelectingAll", message)
            return Permanent(message)
        sets = await self._claim(deployment)
        decided = plan(deployment, sets, self._old_pods_left(deployment, sets), self._clock())
        error = await self._write(deployment, decided)
        if error is not None:
            return Temporary(str(error))
        return DONE if decided.again is None else After(decided.again)

    async def _claim(self, deployment: Document) -> list[Document]:
        namespace = deployment["metadata"]["namespace"]
        candidates = self._sets.by_index(OWNER_INDEX, uid_of(deployment))
        candidates += self._sets.by_index(ORPHAN_INDEX, namespace)
        claim = claims.claim(deployment, candidates)
        if claim.adopt:
            key = key_of(deployment)
            live = await self._client.get(DEPLOYMENTS, key.name, key.namespace)
            if uid_of(live) != uid_of(deployment) or is_deleting(live):
                raise NotFound(404, {"message": f"deployment {key} is gone", "reason": "NotFound"})
        changes = [claims.adoption(REPLICA_SETS, deployment, each) for each in claim.adopt]
        changes += [claims.release(REPLICA_SETS, deployment, each) for each in claim.release]
        if changes:
            for result in (await self._client.batch(changes)).results:
                if result.error is not None and not isinstance(result.error, NotFound):
                    raise result.error
        if claim.adopt:  # sizes of what was just adopted are to be changed at their new version: wait for it
            raise _adopted(claim.adopt)
        return claim.owned

    def _old_pods_left(self, deployment: Document, sets: Sequence[Document]) -> bool:
        """Whether pods of other templates than the current one still run; what is being deleted runs until it is gone."""
        if not DeploymentView(deployment).recreate:
            return False
        template = deployment["spec"]["template"]
        old = [each for each in sets if not same_template(each["spec"]["template"], template)]
        pods = [pod for each in old for pod in self._pods.by_index(OWNER_INDEX, uid_of(each))]
        return any(phase(pod) not in FINISHED for pod in pods)

    async def _write(self, deployment: Document, decided: Plan) -> ApiError | None:
        """Send the plan, in one batch unless a ReplicaSet is to be made: the status speaks of it, so it comes after. Returns
        the first error that matters, or None.
        """
        structural = [_resize_operation(each) for each in decided.resize]
        if decided.create is not None:
            structural.append(operations.create(decided.create))
            errors = await self._send(structural)
            self._note_resizes(deployment, decided, errors)
            refusal = errors[-1]
            if refusal is not None:
                return await self._creation_refused(deployment, decided.create, refusal)
            self._note_scaled(deployment, decided.create["metadata"]["name"], 0, decided.create["spec"]["replicas"])
            errors += await self._send(self._afterwards(deployment, decided))
        else:
            errors = await self._send(structural + self._afterwards(deployment, decided))
            self._note_resizes(deployment, decided, errors)
        return next((error for error in errors if error is not None and not isinstance(error, NotFound)), None)

    async def _send(self, steps: Sequence[Operation]) -> list[ApiError | None]:
        return [result.error for result in (await self._client.batch(steps)).results] if steps else []

    def _afterwards(self, deployment: Document, decided: Plan) -> list[Operation]:
        """Annotations, status and history."""
        steps = []
        if decided.annotations:
            change = {"metadata": {"uid": uid_of(deployment), "annotations": decided.annotations}}
            steps.append(operations.patch(DEPLOYMENTS, *key_of(deployment), change))
        status_step = status_patch(DEPLOYMENTS, deployment, decided.status)
        if status_step is not None:
            steps.append(status_step)
        documents = [each.document for each in decided.delete]
        return steps + [operations.delete(REPLICA_SETS, *key_of(each), uid=uid_of(each)) for each in documents]

    async def _creation_refused(self, deployment: Document, wanted: Document, refusal: ApiError) -> ApiError | None:
        """A ReplicaSet of that name may be ours already (the cache lags), or somebody else's: then take another name."""
        if isinstance(refusal, AlreadyExists):
            key = key_of(wanted)
            live = await self._client.get(REPLICA_SETS, key.name, key.namespace)
            owner = controller_of(live)
            ours = owner is not None and owner["uid"] == uid_of(deployment)
            if ours and same_template(live["spec"]["template"], deployment["spec"]["template"]):
                return refusal  # looked at again when the cache has it
            collisions = int((deployment.get("status") or {}).get("collisionCount") or 0) + 1
            change = {"metadata": {"uid": uid_of(deployment)}, "status": {"collisionCount": collisions}}
            await self._client.batch([operations.patch(DEPLOYMENTS, *key_of(deployment), change, subresource="status")])
            return refusal
        message = f'Failed to create new replica set "{wanted["metadata"]["name"]}": {refusal}'
        self._events.record(deployment, "Warning", conditions.CREATE_FAILED, message)
        if DeploymentView(deployment).deadline is not None:
            entry = conditions.make("Progressing", "False", conditions.CREATE_FAILED, str(refusal), self._clock())
            old = deployment.get("status") or {}
            changed = {**old, "conditions": conditions.replaced(old.get("conditions") or [], entry)}
            step = status_patch(DEPLOYMENTS, deployment, changed)
            if step is not None:
                await self._client.batch([step])
        return refusal

    def _note_resizes(self, deployment: Document, decided: Plan, errors: Sequence[ApiError | None]) -> None:
        for each, error in zip(decided.resize, errors, strict=False):
            if error is None and each.replicas is not None:
                self._note_scaled(deployment, each.target.name, each.target.replicas, each.replicas)

    def _note_scaled(self, deployment: Document, name: str, before: int, after: int) -> None:
        if before != after:
            direction = "up" if after > before else "down"
            message = f"Scaled {direction} replica set {name} from {before} to {after}"
            self._events.record(deployment, "Normal", "ScalingReplicaSet", message)

    def _deployment_changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        self._runner.queue.add(key_of(document))

    def _set_changed(self, old: Document | None, new: Document | None) -> None:
        before, after = old and controller_of(old), new and controller_of(new)
        replica_set = new or old
        assert replica_set is not None
        for owner in (before, after):
            if owner and owner["kind"] == "Deployment":
                self._runner.queue.add(ObjectKey(replica_set["metadata"]["namespace"], owner["name"]))
        if new is not None and after is None:
            self._wake_adopters(new)

    def _wake_adopters(self, replica_set: Document) -> None:
        metadata = replica_set["metadata"]
        for deployment in self._deployments:
            same = deployment["metadata"]["namespace"] == metadata["namespace"]
            if same and label_selector.matches(deployment["spec"].get("selector"), metadata.get("labels")):
                self._runner.queue.add(key_of(deployment))

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        """A Recreate waits for the end of pods; all else is heard from ReplicaSets."""
        if old is None or (new is not None and phase(new) not in FINISHED):
            return
        owner = controller_of(old)
        replica_set = self._sets.get(old["metadata"]["namespace"], owner["name"]) if owner else None
        deployment = controller_of(replica_set) if replica_set else None
        if deployment and deployment["kind"] == "Deployment":
            self._runner.queue.add(ObjectKey(old["metadata"]["namespace"], deployment["name"]))


def _resize_operation(change: Resize) -> Operation:
    """The patch of one ReplicaSet, only at the version that the plan was made from: a lagging cache must not scale twice."""
    document = change.target.document
    metadata: Document = {"uid": uid_of(document), "resourceVersion": document["metadata"]["resourceVersion"]}
    if change.annotations:
        metadata["annotations"] = change.annotations
    patch: Document = {"metadata": metadata}
    spec: Document = {}
    if change.replicas is not None:
        spec["replicas"] = change.replicas
    if change.min_ready is not None:
        spec["minReadySeconds"] = change.min_ready
    if spec:
        patch["spec"] = spec
    return operations.patch(REPLICA_SETS, *key_of(document), patch)


def _adopted(sets: Sequence[Document]) -> ApiError:
    names = ", ".join(each["metadata"]["name"] for each in sets)
    return Conflict(409, {"message": f"adopted {names}; waiting to see it", "reason": "Conflict"})
