"""Makes the claims of generic ephemeral volumes: one for each, owned by its pod, with which it goes.

Source: KEP-1698; Kubernetes' ``pkg/controller/volume/ephemeral``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from moorage.client import operations
from moorage.client.errors import AlreadyExists, NotFound
from moorage.client.events import EventRecorder
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, controller_of, controller_reference, is_deleting, key_of, uid_of
from moorage.client.reconcile import DONE, Outcome, Runner, Temporary
from moorage.client.resource import PERSISTENT_VOLUME_CLAIMS, PODS
from moorage.controllers.context import Context

_MADE_FOR = "pod with a claim of its own"


def wanted(pod: Document) -> Iterator[tuple[str, Document]]:
    """(volume's name, claim) of each generic ephemeral volume of the pod; the claim is named after pod and volume."""
    metadata = pod["metadata"]
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is None:
            continue
        given = template.get("metadata") or {}
        owner = controller_reference({"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": metadata})
        about: Document = {
            "name": f"{metadata['name']}-{volume['name']}",
            "namespace": metadata["namespace"],
            "ownerReferences": [owner],
        }
        about.update({field: given[field] for field in ("labels", "annotations") if given.get(field)})
        yield (
            volume["name"],
            {
                "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version,
                "kind": PERSISTENT_VOLUME_CLAIMS.kind,
                "metadata": about,
                "spec": template.get("spec") or {},
            },
        )


def own_claims(pod: Document) -> list[str]:
    """Names of the claims that are made for the pod."""
    return [str(claim["metadata"]["name"]) for _, claim in wanted(pod)]


def conflict(pod: Document, claim: Document) -> str:
    """What is wrong with a claim that is there under the name of a pod's own; "" where it is the pod's own."""
    if (controller_of(claim) or {}).get("uid") == uid_of(pod):
        return ""
    where, name = pod["metadata"]["namespace"], claim["metadata"]["name"]
    return f"PVC {where}/{name} was not created for pod {where}/{pod['metadata']['name']} (pod is not owner)"


class EphemeralVolumesController:
    """One key is one pod."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._pods = context.informers.get(PODS, transform=lean_pod)
        self._claims = context.informers.get(PERSISTENT_VOLUME_CLAIMS)
        self._events = EventRecorder(context.client, "ephemeral_volume", clock=context.clock)
        self._runner: Runner[ObjectKey] = Runner("ephemeral volumes", self.reconcile, workers=context.options.workers)
        self._pods.add_index(_MADE_FOR, _claims_of)
        self._pods.add_handler(self._pod_changed)
        self._claims.add_handler(self._claim_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._pods, self._claims):
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="ephemeral volumes events")
            group.create_task(self._runner.run(), name="ephemeral volumes runner")

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Make what is missing. A claim of somebody else under that name is left alone, and the pod told of it."""
        pod = self._pods.get(*key)
        if pod is None or is_deleting(pod):
            return DONE
        problems = [
            f"ephemeral volume {name}: {problem}"
            for name, claim in wanted(pod)
            if (problem := await self._ensure(pod, claim))
        ]
        for problem in problems:
            self._events.record(pod, "Warning", "FailedBinding", problem)
        return Temporary("; ".join(problems)) if problems else DONE

    async def _ensure(self, pod: Document, claim: Document) -> str:
        """What is in the way of the claim, "" for nothing."""
        where = key_of(claim)
        known = self._claims.get(*where)
        if known is not None:
            return conflict(pod, known)
        error = (await self._client.batch([operations.create(claim)])).results[0].error
        if isinstance(error, AlreadyExists):
            try:
                return conflict(pod, await self._client.get(PERSISTENT_VOLUME_CLAIMS, where.name, where.namespace))
            except NotFound:
                return f"create PVC {where.name}: it was there and went"
        return "" if error is None else f"create PVC {where.name}: {error}"

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        """Volumes of a pod do not change: only new ones matter."""
        if new is not None and old is None and any(_claims_of(new)):
            self._runner.queue.add(key_of(new))

    def _claim_changed(self, _old: Document | None, new: Document | None) -> None:
        """A name is free again."""
        if new is None and _old is not None:
            for pod in self._pods.by_index(_MADE_FOR, key_of(_old)):
                self._runner.queue.add(key_of(pod))


def _claims_of(pod: Document) -> list[ObjectKey]:
    return [key_of(claim) for _, claim in wanted(pod)]
