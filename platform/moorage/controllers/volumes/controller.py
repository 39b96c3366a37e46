"""Binds claims and volumes to each other, and says in their phases how they stand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from moorage.client import operations
from moorage.client.errors import AlreadyExists, NotFound
from moorage.client.events import EventRecorder
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.reconcile import DONE, Outcome, Runner, Temporary
from moorage.client.resource import NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES, Resource
from moorage.controllers.context import Context
from moorage.controllers.protection.decide import claims_of
from moorage.controllers.volumes import binding, expansion, provisioning, recycling
from moorage.controllers.volumes.ephemeral import own_claims
from moorage.controllers.volumes.matching import asked, claim_of
from moorage.controllers.volumes.plan import (
    DELAYED,
    Assign,
    Bind,
    Leave,
    Lose,
    Provision,
    Turn,
    Unbind,
    Wait,
    is_completed,
    of_claim,
    of_volume,
)
from moorage.controllers.volumes.reclaiming import give_up, is_left_alone
from moorage.controllers.volumes.releasing import Releasing, is_gone
from moorage.resources import quantity
from moorage.resources.core.access_modes import storage_class_of
from moorage.resources.local_volumes import why_no_room
from moorage.resources.storage import LOCAL_PROVISIONER, default_class, home_of, is_default_class

LOOK = 15.0
"""Seconds between two looks at every claim and volume (kube-controller-manager's ``pvclaimbinder-sync-period``)."""
WORKERS = 8
FORGOTTEN = 30.0
"""Seconds after which a promise is not believed that nothing came of."""
_CLASS, _MEANT, _USED, _WANTED, _HOME = "class", "meant for", "used by", "wanted by", "folder of"


class _Key(NamedTuple):
    resource: Resource
    where: ObjectKey


class VolumesController:
    """One key is one claim or volume. A volume that is being bound is no other claim's, though the cache may not show it yet;
    should it be promised all the same, the version that was looked at decides.
    """

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        informers = context.informers
        self._claims = informers.get(PERSISTENT_VOLUME_CLAIMS)
        self._volumes = informers.get(PERSISTENT_VOLUMES)
        self._classes = informers.get(STORAGE_CLASSES)
        self._pods = informers.get(PODS, transform=lean_pod)
        self._nodes = informers.get(NODES)
        self._events = EventRecorder(context.client, "persistentvolume-controller", clock=context.clock)
        self._runner: Runner[_Key] = Runner(
            "volumes", self.reconcile, workers=WORKERS, all_keys=self._every, every=LOOK
        )
        self._promised: dict[str, float] = {}
        self._volumes.add_index(_CLASS, lambda volume: [storage_class_of(volume)])
        self._volumes.add_index(_MEANT, _meant_for)
        self._volumes.add_index(_HOME, lambda volume: [home_of(volume)])
        self._pods.add_index(_USED, _used)
        self._pods.add_index(_WANTED, _wanted)
        self._claims.add_handler(self._claim_changed)
        self._volumes.add_handler(self._volume_changed)
        self._classes.add_handler(self._class_changed)
        self._pods.add_handler(self._pod_changed)
        self._nodes.add_handler(self._node_changed)
        self._releasing = Releasing(self._pods, self._nodes, self._events, self._write, self._live)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._claims, self._volumes, self._classes, self._pods, self._nodes):
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="volumes events")
            group.create_task(self._runner.run(), name="volumes runner")

    async def reconcile(self, key: _Key) -> Outcome:
        """Look at one claim or volume."""
        if key.resource is PERSISTENT_VOLUMES:
            volume = self._volumes.get(*key.where)
            return DONE if volume is None else await self._volume(volume)
        claim = self._claims.get(*key.where)
        return DONE if claim is None else await self._claim(claim)

    async def _claim(self, claim: Document) -> Outcome:
        where = key_of(claim)
        named = self._volumes.get("", str(claim["spec"].get("volumeName") or ""))
        if named is None and is_completed(claim):
            named = await self._live(PERSISTENT_VOLUMES, "", str(claim["spec"].get("volumeName") or ""))
        free = [*self._volumes.by_index(_MEANT, where), *self._unpromised(storage_class_of(claim))]
        storage_class = self._classes.get("", storage_class_of(claim))
        default = default_class(self._classes) or ""
        plan = of_claim(claim, named, free, storage_class, self._node_of(where), default)
        match plan:
            case Bind(volume):
                outcome = await self._bind(volume, claim)
                return await self._grow(volume, claim) if outcome == DONE and is_completed(claim) else outcome
            case Assign(name):
                return await self._write([binding.assign(claim, name)])
            case Lose(reason, message):
                if (claim.get("status") or {}).get("phase") != "Lost":
                    self._events.record(claim, "Warning", reason, message)
                return await self._write([binding.claim_phase(claim, "Lost")])
            case Provision():
                if storage_class is not None and storage_class["provisioner"] == LOCAL_PROVISIONER:
                    return await self._provision(claim, storage_class)
                self._tell_of_provisioner(claim, storage_class)
            case Wait(_, reason) if reason == DELAYED and (waiting := self._unplaced(where)):
                pods = f"pods {','.join(waiting)}" if len(waiting) > 1 else f"pod {waiting[0]}"
                self._events.record(claim, "Normal", "WaitForPodScheduled", f"waiting for {pods} to be scheduled")
            case Wait("Normal" | "Warning" as kind, reason, message):
                self._events.record(claim, "Warning" if kind == "Warning" else "Normal", reason, message)
            case Wait():
                return DONE
        return await self._write([binding.claim_phase(claim, "Pending")])

    async def _bind(self, volume: Document, claim: Document) -> Outcome:
        """The volume is promised first, on the version that was looked at: who comes second finds it taken."""
        name = str(volume["metadata"]["name"])
        if claim_of(volume).get("uid") != uid_of(claim):
            self._promised[name] = time.monotonic() + FORGOTTEN
        for number, steps in enumerate(binding.steps(volume, claim)):
            outcome = await self._write(steps)
            if outcome != DONE:
                if number == 0:
                    self._promised.pop(name, None)
                return outcome
        return DONE

    def _unpromised(self, class_name: str) -> Iterator[Document]:
        """Volumes of a class, without those that are being bound."""
        now = time.monotonic()
        for volume in self._volumes.by_index(_CLASS, class_name):
            if self._promised.get(str(volume["metadata"]["name"]), 0.0) < now:
                yield volume

    async def _provision(self, claim: Document, storage_class: Document) -> Outcome:
        node = self._node_of(key_of(claim))
        there = self._volumes.by_index(_HOME, node["metadata"]["name"]) if node is not None else []
        if problem := provisioning.why_not(claim, storage_class, node, there):
            self._events.record(claim, "Warning", "ProvisioningFailed", problem)
        if problem or node is None:
            return await self._write([binding.claim_phase(claim, "Pending")])
        volume = provisioning.volume(claim, storage_class, node)
        results = (await self._client.batch([provisioning.choice(claim, node), operations.create(volume)])).results
        error = next((each.error for each in results if each.error is not None), None)
        if error is not None and not isinstance(error, AlreadyExists):
            return Temporary(str(error))
        if error is None:
            name = volume["metadata"]["name"]
            message = f"Successfully provisioned volume {name}"
            self._events.record(claim, "Normal", "ProvisioningSucceeded", message)
        return DONE

    async def _volume(self, volume: Document) -> Outcome:
        if is_left_alone(volume):
            return await self._write([give_up(volume)])
        wanted = claim_of(volume)
        where = ObjectKey(str(wanted.get("namespace") or ""), str(wanted.get("name") or ""))
        claim = self._claims.get(*where)
        if wanted.get("uid") and (claim is None or uid_of(claim) != wanted["uid"]):
            claim = await self._live(PERSISTENT_VOLUME_CLAIMS, *where)
        match of_volume(volume, claim):
            case Turn(phase, message):
                return await self._write([binding.volume_phase(volume, phase, message)])
            case Unbind(whole):
                return await self._write([binding.unbind(volume, whole=whole)])
            case Leave():
                self._runner.queue.add(_Key(PERSISTENT_VOLUME_CLAIMS, where))
                return DONE
            case _:
                return await self._releasing.reclaim(volume)

    async def _grow(self, volume: Document, claim: Document) -> Outcome:
        """Give a bound claim the size that it asks for by now."""
        match expansion.of(claim, volume):
            case expansion.Elsewhere():
                message = "waiting for an external controller to expand this PVC"
                self._events.record(claim, "Normal", "ExternalExpanding", message)
            case expansion.Settled(stale=True):
                return await self._write([expansion.forgotten(claim)])
            case expansion.Growth(size, more):
                return await self._grow_by(volume, claim, size, more)
        return DONE

    async def _grow_by(self, volume: Document, claim: Document, size: str, more: int) -> Outcome:
        node = self._nodes.get("", home_of(volume))
        there = self._volumes.by_index(_HOME, home_of(volume))
        problem = why_no_room(node, there, more) if node is not None else ""
        if problem:
            self._events.record(claim, "Warning", "VolumeResizeFailed", f"resize volume failed: {problem}")
            now = self._clock()
            refused = None if expansion.is_refused(claim, problem) else expansion.refused(claim, problem, now)
            return await self._write([refused])
        for step in expansion.grown(claim, volume, size):
            outcome = await self._write([step])
            if outcome != DONE:
                return outcome
        self._events.record(claim, "Normal", "VolumeResizeSuccessful", f"Resize volume succeeded: it has {size}")
        return DONE

    def _tell_of_provisioner(self, claim: Document, storage_class: Document | None) -> None:
        name = storage_class_of(claim)
        if storage_class is None:
            message = f'storageclass.storage.k8s.io "{name}" not found'
            self._events.record(claim, "Warning", "ProvisioningFailed", message)
            return
        provisioner = storage_class["provisioner"]
        if provisioner == "kubernetes.io/no-provisioner":
            message = "no persistent volumes available for this claim, and its class provisions none"
            self._events.record(claim, "Normal", "FailedBinding", message)
            return
        message = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self._events.record(claim, "Normal", "ExternalProvisioning", message)

    def _unplaced(self, claim: ObjectKey) -> list[str]:
        """Names of the pods that wait for a node and name the claim."""
        return sorted(str(pod["metadata"]["name"]) for pod in self._pods.by_index(_WANTED, claim))

    def _node_of(self, claim: ObjectKey) -> Document | None:
        """The node of a pod that uses the claim; of several, of the oldest."""
        pods = sorted(
            self._pods.by_index(_USED, claim),
            key=lambda pod: (str(pod["metadata"].get("creationTimestamp") or ""), str(pod["metadata"]["name"])),
        )
        nodes = (self._nodes.get("", str(pod["spec"].get("nodeName") or "")) for pod in pods)
        return next((node for node in nodes if node is not None), None)

    async def _live(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """What the API has: the cache may lag behind."""
        if not name:
            return None
        try:
            return await self._client.get(resource, name, namespace)
        except NotFound:
            return None

    async def _write(self, steps: Sequence[Operation | None]) -> Outcome:
        wanted = [step for step in steps if step is not None]
        for result in (await self._client.batch(wanted)).results if wanted else ():
            if result.error is not None and not is_gone(result.error):
                return Temporary(str(result.error))
        return DONE

    def _every(self) -> list[_Key]:
        found = [_Key(PERSISTENT_VOLUME_CLAIMS, key_of(claim)) for claim in self._claims if _is_open(claim)]
        return found + [_Key(PERSISTENT_VOLUMES, key_of(volume)) for volume in self._volumes]

    def _claim_changed(self, old: Document | None, new: Document | None) -> None:
        claim = new or old
        assert claim is not None
        if new is not None:
            self._runner.queue.add(_Key(PERSISTENT_VOLUME_CLAIMS, key_of(new)))
        for volume in self._volumes.by_index(_MEANT, key_of(claim)):
            self._runner.queue.add(_Key(PERSISTENT_VOLUMES, key_of(volume)))

    def _volume_changed(self, _old: Document | None, new: Document | None) -> None:
        if new is not None:
            self._runner.queue.add(_Key(PERSISTENT_VOLUMES, key_of(new)))
        volume = new or _old
        assert volume is not None
        if new is None or claim_of(new).get("uid"):
            self._promised.pop(str(volume["metadata"]["name"]), None)
        for where in _meant_for(volume):
            self._runner.queue.add(_Key(PERSISTENT_VOLUME_CLAIMS, where))
        if new is not None and not claim_of(new) and (_old is None or _offer(_old) != _offer(new)):
            self._look_again(storage_class_of(new))

    def _class_changed(self, _old: Document | None, new: Document | None) -> None:
        if new is not None:
            self._look_again(str(new["metadata"]["name"]))
            if is_default_class(new):
                self._look_again("")

    def _look_again(self, name: str) -> None:
        """At the claims of a class that wait."""
        for claim in self._claims:
            if not is_completed(claim) and storage_class_of(claim) == name:
                self._runner.queue.add(_Key(PERSISTENT_VOLUME_CLAIMS, key_of(claim)))

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        """A pod that has found its node is what claims wait for."""
        pod = new or old
        assert pod is not None
        if volume := recycling.volume_of(pod):
            self._runner.queue.add(_Key(PERSISTENT_VOLUMES, ObjectKey("", volume)))
        if new is None or (old is not None and old["spec"].get("nodeName") == new["spec"].get("nodeName")):
            return
        for where in _used(new):
            claim = self._claims.get(*where)
            if claim is not None and not is_completed(claim):
                self._runner.queue.add(_Key(PERSISTENT_VOLUME_CLAIMS, where))

    def _node_changed(self, old: Document | None, new: Document | None) -> None:
        """What was on a node that is gone need not wait for it."""
        if new is None and old is not None:
            for volume in self._volumes.by_index(_HOME, old["metadata"]["name"]):
                self._runner.queue.add(_Key(PERSISTENT_VOLUMES, key_of(volume)))


def _offer(volume: Document) -> tuple[Any, ...]:
    """What claims look at of a volume."""
    return volume["spec"], volume["metadata"].get("labels"), (volume.get("status") or {}).get("phase")


def _is_open(claim: Document) -> bool:
    """Whether a claim waits for something that time may bring: a volume, or more room."""
    if not is_completed(claim):
        return True
    has = str(((claim.get("status") or {}).get("capacity") or {}).get("storage") or "0")
    return quantity.compare(asked(claim), has) > 0


def _used(pod: Document) -> list[ObjectKey]:
    return [ObjectKey(pod["metadata"]["namespace"], name) for name in claims_of(pod)]


def _wanted(pod: Document) -> list[ObjectKey]:
    """The claims of a pod that has no node yet."""
    if pod["spec"].get("nodeName"):
        return []
    named = (each.get("persistentVolumeClaim") for each in pod["spec"].get("volumes") or ())
    names = [str(each.get("claimName", "")) for each in named if each]
    return [ObjectKey(pod["metadata"]["namespace"], name) for name in [*names, *own_claims(pod)]]


def _meant_for(volume: Document) -> list[ObjectKey]:
    wanted = claim_of(volume)
    return [ObjectKey(str(wanted.get("namespace") or ""), str(wanted["name"]))] if wanted.get("name") else []
