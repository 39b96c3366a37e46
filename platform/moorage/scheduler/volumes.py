"""Where a pod's claims let it run. Source: Kubernetes' plugins volumebinding, volumerestrictions and volumezone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moorage.client.informer import Informer
from moorage.client.objects import Document, ObjectKey, controller_of, is_deleting, uid_of
from moorage.resources import label_selector, quantity
from moorage.resources.core.access_modes import ONE_POD, storage_class_of
from moorage.resources.local_volumes import asked_by, size_of
from moorage.resources.node_selector import volume_reaches
from moorage.resources.storage import LOCAL_PROVISIONER, allows, home_of
from moorage.scheduler.nodetable import Row
from moorage.scheduler.podinfo import PodInfo, claims_of

CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
NONE_TO_BIND = "node(s) didn't find available persistent volumes to bind"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
TAKEN = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
NO_ROOM = "node(s) did not have enough free storage"
NO_DEVICES = "cannot allocate all claims: no devices are allocated here (name in spec.schedulerName who allocates them)"
_USED, _CLASS, _HOME = "claims of placed pods", "class of volumes", "folders of nodes"
_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``problem`` keeps the pod from every node; of ``checks``, each says whether a node will do, and why not."""

    problem: str = ""
    checks: list[tuple[str, Callable[[Row], bool]]] = field(default_factory=list)


class Volumes:
    """Reads caches. ``assumed``: pods that are on their way to a node."""

    def __init__(
        self, claims: Informer, volumes: Informer, classes: Informer, pods: Informer, assumed: Mapping[str, PodInfo]
    ) -> None:
        self._claims, self._volumes, self._classes, self._pods = claims, volumes, classes, pods
        self._assumed = assumed
        pods.add_index(_USED, _used)
        volumes.add_index(_CLASS, lambda volume: [storage_class_of(volume)])
        volumes.add_index(_HOME, lambda volume: [home_of(volume)])
        volumes.add_handler(self._volume_changed)
        self._folders: dict[str, tuple[int, frozenset[ObjectKey]]] = {}

    def judge(self, pod: PodInfo) -> Verdict:
        """What the pod's claims say about nodes, as of now."""
        checks: list[tuple[str, Callable[[Row], bool]]] = []
        new = 0
        for name in pod.claims:
            claim = self._claims.get(pod.key.namespace, name)
            if problem := self._problem(pod, name, claim):
                return Verdict(problem)
            assert claim is not None
            if check := self._check(claim):
                checks.append(check)
            if self._is_to_be_made(claim):
                new += asked_by(claim)
        if new:
            checks.append((NO_ROOM, lambda row: self._has_room(row, pod, new)))
        return Verdict("", checks)

    def _problem(self, pod: PodInfo, name: str, claim: Document | None) -> str:
        if claim is None and name in pod.own_claims:
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if name in pod.own_claims and (controller_of(claim) or {}).get("uid") != pod.uid:
            where = pod.key.namespace
            return f"PVC {where}/{name} was not created for pod {where}/{pod.key.name} (pod is not owner)"
        if is_deleting(claim):
            return f'persistentvolumeclaim "{name}" is being deleted'
        if (claim.get("status") or {}).get("phase") == "Lost":
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume'
        if not _is_bound(claim) and self._class(claim).get("volumeBindingMode") != "WaitForFirstConsumer":
            return UNBOUND
        if ONE_POD in claim["spec"]["accessModes"] and self._is_taken(pod, name):
            return TAKEN
        return ""

    def _check(self, claim: Document) -> tuple[str, Callable[[Row], bool]] | None:
        if _is_bound(claim):
            volume = self._volumes.get("", claim["spec"]["volumeName"])
            return None if volume is None else (CONFLICT, lambda row: _reaches(volume, row))
        storage_class = self._class(claim)
        if storage_class.get("provisioner") != "kubernetes.io/no-provisioner":
            limited = bool(storage_class.get("allowedTopologies"))
            return (NONE_TO_BIND, lambda row: allows(storage_class, row.labels)) if limited else None
        free = [each for each in self._volumes.by_index(_CLASS, storage_class_of(claim)) if _serves(each, claim)]
        return NONE_TO_BIND, lambda row: any(_reaches(each, row) for each in free)

    def _is_to_be_made(self, claim: Document) -> bool:
        """Whether the claim is to get a folder of the node that its pod goes to."""
        return not _is_bound(claim) and self._class(claim).get("provisioner") == LOCAL_PROVISIONER

    def _has_room(self, row: Row, pod: PodInfo, new: int) -> bool:
        """Whether the node's disk holds ``new`` more bytes beside what its folders were promised, made or not yet."""
        if row.disk is None:
            return True
        taken, made = self._made(row.name)
        coming: dict[ObjectKey, int] = {}
        for other in row.pods.values():
            for name in other.claims if other.uid != pod.uid else ():
                key = ObjectKey(other.key.namespace, name)
                claim = self._claims.get(*key)
                if claim is not None and key not in made and self._is_to_be_made(claim):
                    coming[key] = asked_by(claim)
        return taken + sum(coming.values()) + new <= row.disk

    def _made(self, node: str) -> tuple[int, frozenset[ObjectKey]]:
        """How much the node's folders were promised, and the claims that they are for."""
        known = self._folders.get(node)
        if known is None:
            there = self._volumes.by_index(_HOME, node)
            held = (each["spec"].get("claimRef") or {} for each in there)
            claims = frozenset(ObjectKey(each.get("namespace", ""), each.get("name", "")) for each in held)
            known = self._folders[node] = sum(map(size_of, there)), claims
        return known

    def _volume_changed(self, old: Document | None, new: Document | None) -> None:
        for volume in (old, new):
            if volume is not None:
                self._folders.pop(home_of(volume), None)

    def _class(self, claim: Document) -> Document:
        return self._classes.get("", storage_class_of(claim)) or {}

    def _is_taken(self, pod: PodInfo, name: str) -> bool:
        key = ObjectKey(pod.key.namespace, name)
        if any(uid_of(each) != pod.uid for each in self._pods.by_index(_USED, key)):
            return True
        others: Iterable[PodInfo] = self._assumed.values()
        return any(
            each.uid != pod.uid and each.key.namespace == key.namespace and name in each.claims for each in others
        )


def _used(pod: Document) -> Iterator[ObjectKey]:
    spec = pod["spec"]
    if spec.get("nodeName") and (pod.get("status") or {}).get("phase") not in _FINISHED:
        for name in claims_of(pod):
            yield ObjectKey(pod["metadata"]["namespace"], name)


def _is_bound(claim: Document) -> bool:
    return (claim.get("status") or {}).get("phase") == "Bound" and bool(claim["spec"].get("volumeName"))


def _reaches(volume: Mapping[str, Any], row: Row) -> bool:
    return volume_reaches(volume, {"metadata": {"name": row.name, "labels": row.labels}})


def _serves(volume: Document, claim: Document) -> bool:
    """Whether the volume may be bound to the claim, on a node that reaches it (the volumes controller decides)."""
    spec, wanted = volume["spec"], claim["spec"]
    held = spec.get("claimRef")
    if held:
        metadata = claim["metadata"]
        return bool((held.get("namespace"), held.get("name")) == (metadata["namespace"], metadata["name"]))
    if (volume.get("status") or {}).get("phase") != "Available" or is_deleting(volume):
        return False
    selector = wanted.get("selector")
    return (
        set(wanted["accessModes"]) <= set(spec["accessModes"])
        and (spec.get("volumeMode") or "Filesystem") == (wanted.get("volumeMode") or "Filesystem")
        and quantity.compare(spec["capacity"]["storage"], wanted["resources"]["requests"]["storage"]) >= 0
        and (selector is None or label_selector.matches(selector, volume["metadata"].get("labels")))
    )
