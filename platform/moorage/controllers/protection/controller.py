"""Lets claims, volumes and classes of attributes go once nobody uses them."""

from __future__ import annotations

from typing import NamedTuple

from moorage.client.errors import NotFound
from moorage.client.informer import Handler, Informer
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, key_of
from moorage.client.reconcile import DONE, Outcome, Runner, Temporary
from moorage.client.resource import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    VOLUME_ATTRIBUTES_CLASSES,
    Resource,
)
from moorage.controllers.context import Context
from moorage.controllers.protection.decide import attributes_classes, claims_of, is_bound, is_shut_down, release, waits

_CLAIM_INDEX, _CLASS_INDEX = "claim", "class of attributes"
_KEPT = (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, VOLUME_ATTRIBUTES_CLASSES)
_OF_A_CLASS = (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES)


class _Key(NamedTuple):
    resource: Resource
    where: ObjectKey


class ProtectionController:
    """One key is one claim, volume or class."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._pods = context.informers.get(PODS, transform=lean_pod)
        self._kept: dict[Resource, Informer] = {resource: context.informers.get(resource) for resource in _KEPT}
        self._runner: Runner[_Key] = Runner("protection", self.reconcile, workers=context.options.workers)
        self._pods.add_index(_CLAIM_INDEX, _used)
        self._pods.add_handler(self._pod_changed)
        for resource, informer in self._kept.items():
            informer.add_handler(self._watcher(resource))
        for resource in _OF_A_CLASS:
            self._kept[resource].add_index(_CLASS_INDEX, attributes_classes)
            self._kept[resource].add_handler(self._user_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._pods, *self._kept.values()):
            await informer.wait_synced()
        await self._runner.run()

    async def reconcile(self, key: _Key) -> Outcome:
        """Look at one object."""
        document = self._kept[key.resource].get(*key.where)
        if document is None or not waits(key.resource, document) or await self._is_used(key, document):
            return DONE
        error = (await self._client.batch([release(key.resource, document)])).results[0].error
        return DONE if error is None or isinstance(error, NotFound) else Temporary(str(error))

    async def _is_used(self, key: _Key, document: Document) -> bool:
        if key.resource is PERSISTENT_VOLUMES:
            return is_bound(document)
        if key.resource is VOLUME_ATTRIBUTES_CLASSES:
            return any(self._kept[each].by_index(_CLASS_INDEX, key.where.name) for each in _OF_A_CLASS)
        if self._pods.by_index(_CLAIM_INDEX, key.where):
            return True
        # The cache may lag behind a pod that was bound just now.
        pods = (await self._client.list(PODS, key.where.namespace)).items
        return any(key.where.name in claims_of(pod) for pod in pods)

    def _watcher(self, resource: Resource) -> Handler:
        def changed(_old: Document | None, new: Document | None) -> None:
            if new is not None and waits(resource, new):
                self._runner.queue.add(_Key(resource, key_of(new)))

        return changed

    def _user_changed(self, old: Document | None, new: Document | None) -> None:
        """Classes of attributes that a claim or a volume no longer has."""
        left = attributes_classes(old) - attributes_classes(new or {}) if old is not None else set()
        for name in left:
            self._runner.queue.add(_Key(VOLUME_ATTRIBUTES_CLASSES, ObjectKey("", name)))

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        """Only a pod that goes, or that its node is done with, sets claims free."""
        if old is None or (new is not None and (is_shut_down(old) or not is_shut_down(new))):
            return
        for where in _used(old):
            self._runner.queue.add(_Key(PERSISTENT_VOLUME_CLAIMS, where))


def _used(pod: Document) -> list[ObjectKey]:
    return [ObjectKey(pod["metadata"]["namespace"], name) for name in claims_of(pod)]
