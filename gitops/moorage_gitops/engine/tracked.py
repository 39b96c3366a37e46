"""The live objects that came from Git: one labelled watch per served kind, found by the application that put them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.discovery import served
from moorage.client.errors import ClientError
from moorage.client.informer import Informer
from moorage.client.objects import ObjectKey
from moorage.client.resource import Resource
from moorage_gitops.names import APPLICATION_LABEL, TRACKING_ANNOTATION, tracked_by, tracking_id

log = logging.getLogger(__name__)
Document = dict[str, Any]
_NEEDED = frozenset({"list", "watch", "delete", "patch"})
_NEVER_FROM_GIT = frozenset(
    {("", "events"), ("events.k8s.io", "events"), ("", "nodes"), ("coordination.k8s.io", "leases")}
)
_METADATA_ONLY = frozenset({"Secret", "ConfigMap"})
"""Judged by their metadata alone; their contents have no business here."""


class TrackedObjects:
    """Follows every kind that a push may put. ``on_change`` gets the application whose object changed."""

    def __init__(self, client: ApiClient, *, rediscover: float) -> None:
        self._client = client
        self._rediscover = rediscover
        self._informers: dict[Resource, Informer] = {}
        self._discovered = asyncio.Event()
        self.on_change: Callable[[ObjectKey], None] = _ignore

    async def run(self) -> None:
        """Follow until cancelled. Kinds that come to be served are found every ``rediscover`` seconds."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    kinds = await served(self._client)
                except ClientError as error:
                    log.warning("the served kinds cannot be read: %s", error)
                    await asyncio.sleep(1.0)
                    continue
                for resource, verbs in kinds:
                    if verbs >= _NEEDED and (resource.group, resource.plural) not in _NEVER_FROM_GIT:
                        self._follow(group, resource)
                self._discovered.set()
                await asyncio.sleep(self._rediscover)

    async def wait_synced(self) -> None:
        """Return when all objects are known."""
        await self._discovered.wait()
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    def of(self, application: ObjectKey) -> list[Document]:
        """The live objects of an application."""
        return [
            document
            for informer in self._informers.values()
            for document in informer.by_index("application", application)
        ]

    def _follow(self, group: asyncio.TaskGroup, resource: Resource) -> None:
        if resource in self._informers:
            return
        informer = Informer(
            self._client,
            resource,
            labels=APPLICATION_LABEL,
            transform=_named(resource),
            metadata_only=resource.kind in _METADATA_ONLY,
        )
        informer.add_index("application", _application)
        informer.add_handler(self._changed)
        self._informers[resource] = informer
        group.create_task(informer.run(), name=f"tracked {resource.qualified}")

    def _changed(self, old: Document | None, new: Document | None) -> None:
        for document in (old, new):
            if document is not None:
                for key in _application(document):
                    assert isinstance(key, ObjectKey)
                    self.on_change(key)


def _application(document: Document) -> Iterable[Hashable]:
    """The application that put the object; none for a copy of an object, which still carries the original's text."""
    metadata = document["metadata"]
    value = (metadata.get("annotations") or {}).get(TRACKING_ANNOTATION, "")
    owner = tracked_by(value)
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    own = tracking_id(*owner, group, str(document.get("kind", "")), metadata.get("namespace") or "", metadata["name"])
    return (ObjectKey(*owner),) if value and value == own else ()


def _named(resource: Resource) -> Callable[[Document], Document]:
    """Gives each document its own kind back, which a list of metadata does not carry. Owners of fields are kept."""

    def transform(document: Document) -> Document:
        document["apiVersion"], document["kind"] = resource.api_version, resource.kind
        return document

    return transform


def _ignore(_key: ObjectKey) -> None:
    """Nobody is interested yet."""
