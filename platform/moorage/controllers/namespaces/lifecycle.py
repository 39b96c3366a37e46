"""Empties a terminating namespace of every served kind, pods first (KEP-5080), then lets it go through ``/finalize``."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence

from moorage.client.discovery import Served, served
from moorage.client.errors import ApiError, ClientError, NotFound
from moorage.client.objects import Document, ObjectKey, is_deleting, key_of
from moorage.client.reconcile import DONE, After, Outcome, Runner
from moorage.client.resource import NAMESPACES, PODS, Resource
from moorage.controllers.context import Context
from moorage.controllers.namespaces.conditions import Remains, conditions
from moorage.controllers.statuses import status_patch

FINALIZER = "kubernetes"
FIRST_LOOK, LAST_LOOK = 0.25, 5.0
"""Seconds between looks at what remains: a quarter of how long the namespace has been going, within these."""


class NamespaceController:
    """Carries out the deletion of namespaces."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._namespaces = context.informers.get(NAMESPACES)
        self._started: dict[str, float] = {}
        self._runner: Runner[ObjectKey] = Runner("namespace", self.reconcile, workers=context.options.workers)
        self._namespaces.add_handler(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._namespaces.wait_synced()
        await self._runner.run()

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Look at one namespace."""
        namespace = self._namespaces.get(*key)
        if namespace is None or not is_deleting(namespace):
            self._started.pop(key.name, None)
            return DONE
        if FINALIZER not in ((namespace.get("spec") or {}).get("finalizers") or ()):
            return DONE
        started = self._started.setdefault(key.name, self._clock())
        found = await self._empty(key.name)
        if found.empty:
            await self._finalize(key.name)
            return DONE
        wanted = conditions((namespace.get("status") or {}).get("conditions") or [], found, self._clock())
        status = {**(namespace.get("status") or {}), "phase": "Terminating", "conditions": wanted}
        change = status_patch(NAMESPACES, namespace, status)
        if change is not None:
            await self._client.batch([change])
        return After(min(LAST_LOOK, max(FIRST_LOOK, (self._clock() - started) / 4)))

    async def _empty(self, name: str) -> Remains:
        """Delete what there is, kind by kind, and count what is left. A discovery that fails means that nothing is known: the
        namespace must not go.
        """
        found = Remains()
        try:
            kinds = await served(self._client)
        except ClientError as error:
            found.discovery_error = str(error)
            return found
        await self._empty_kind(name, PODS, found)
        if found.left:
            return found
        for resource in _contents(kinds):
            await self._empty_kind(name, resource, found)
        return found

    async def _empty_kind(self, name: str, resource: Resource, found: Remains) -> None:
        try:
            if await self._anything(name, resource):
                await self._client.delete_collection(resource, name)
                left = (await self._client.list(resource, name, metadata_only=True)).items
                _count(resource, left, found)
        except NotFound:
            return
        except ApiError as error:
            found.delete_errors.append(f"{resource.qualified}: {error}")

    async def _anything(self, name: str, resource: Resource) -> bool:
        page = await self._client.page(resource, name, limit=1, metadata_only=True)
        return bool(page.items)

    async def _finalize(self, name: str) -> None:
        """Take our finalizer out; the server removes the namespace when it was the last."""
        with contextlib.suppress(NotFound):  # somebody else was quicker
            live = await self._client.get(NAMESPACES, name)
            finalizers = [each for each in (live.get("spec") or {}).get("finalizers") or () if each != FINALIZER]
            changed = {**live, "spec": {**(live.get("spec") or {}), "finalizers": finalizers}}
            await self._client.update(NAMESPACES, changed, subresource="finalize")
        self._started.pop(name, None)

    def _changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        if new is None or is_deleting(new):
            self._runner.queue.add(key_of(document))


def _contents(kinds: Sequence[Served]) -> list[Resource]:
    """Namespaced kinds whose objects can be listed and deleted; events last, so that they can tell of the others."""
    needed = {"deletecollection", "list"}
    found = [each.resource for each in kinds if each.resource.namespaced and needed <= each.verbs]
    return sorted(found, key=lambda resource: (resource.plural == "events", resource))


def _count(resource: Resource, left: Sequence[Document], found: Remains) -> None:
    if not left:
        return
    found.left[resource.qualified if resource.group else f"{resource.plural}."] = len(left)
    finalizers = Counter(each for item in left for each in item["metadata"].get("finalizers") or ())
    for finalizer, count in finalizers.items():
        found.finalizers[finalizer] = found.finalizers.get(finalizer, 0) + count
