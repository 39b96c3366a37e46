"""A cache of one kind that follows the server: list, watch, list again where the watch cannot go on.

Everything runs on one event loop, so the cache changes between awaits only, and handlers (which may not await) see every change
once, in order. After a ``Gone`` the new list is compared with the cache: what is missing was deleted, what differs changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Hashable, Iterable, Iterator

from moorage.client.api import ApiClient
from moorage.client.errors import ApiError, ClientError, Gone
from moorage.client.objects import Document, ObjectKey, key_of
from moorage.client.resource import Resource
from moorage.client.selectors import Selector
from moorage.client.watch import Events

log = logging.getLogger(__name__)

Handler = Callable[[Document | None, Document | None], None]
"""Gets (old, new): (None, new) for an addition, (old, None) for a deletion. Must be quick: put a key on a queue."""
Transform = Callable[[Document], Document]
Index = Callable[[Document], Iterable[Hashable]]

FIRST_DELAY = 0.2
LAST_DELAY = 15.0


def without_managed_fields(document: Document) -> Document:
    """The transform that most caches want: nobody but the API reads these, and they are half of a small object."""
    document["metadata"].pop("managedFields", None)
    return document


class Informer:
    """Documents in it belong to the cache: never change one, copy first."""

    def __init__(
        self,
        client: ApiClient,
        resource: Resource,
        *,
        namespace: str = "",
        labels: Selector = "",
        fields: Selector = "",
        transform: Transform = without_managed_fields,
        metadata_only: bool = False,
        page_size: int = 500,
    ) -> None:
        self.resource = resource
        self._client = client
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._transform = transform
        self._metadata_only = metadata_only
        self._page_size = page_size
        self._objects: dict[ObjectKey, Document] = {}
        self._indexes: dict[str, tuple[Index, dict[Hashable, dict[ObjectKey, None]]]] = {}
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self.lists = 0
        """How many times the whole list was read; more than one means that a watch was too old."""

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Document]:
        """All objects, as they are now; safe against changes while iterating."""
        return iter(list(self._objects.values()))

    def get(self, namespace: str, name: str) -> Document | None:
        """The object, or None where the cache has none (yet)."""
        return self._objects.get(ObjectKey(namespace, name))

    def add_index(self, name: str, index: Index) -> None:
        """Keep objects findable by the values of ``index``. The same name twice must mean the same index."""
        if name in self._indexes:
            return
        entries: dict[Hashable, dict[ObjectKey, None]] = {}
        self._indexes[name] = (index, entries)
        for key, document in self._objects.items():
            for value in index(document):
                entries.setdefault(value, {})[key] = None

    def by_index(self, name: str, value: Hashable) -> list[Document]:
        """Objects for which index ``name`` gives ``value``. Raises KeyError for an unknown index."""
        keys = self._indexes[name][1].get(value)
        return [self._objects[key] for key in keys] if keys else []

    def add_handler(self, handler: Handler) -> None:
        """Call ``handler`` for every change from now on, and at once for every object that is there."""
        self._handlers.append(handler)
        for document in list(self._objects.values()):
            handler(None, document)

    @property
    def synced(self) -> bool:
        """Whether the first list is in."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return when the first list is in."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow the server until cancelled. Failures are logged and repeated with growing pauses."""
        delay = FIRST_DELAY
        while True:
            try:
                revision = await self._list()
                delay = FIRST_DELAY
                batches = self._client.watch_batches(
                    self.resource,
                    self._namespace,
                    resource_version=revision,
                    labels=self._labels,
                    fields=self._fields,
                    metadata_only=self._metadata_only,
                )
                async with contextlib.aclosing(batches):
                    async for batch in batches:
                        self._apply(batch)
            except Gone:
                log.info("%s: the watch is too old; reading the list again", self.resource.qualified)
            except (ClientError, ValueError) as error:
                level = logging.ERROR if isinstance(error, ApiError) and error.code < 429 else logging.WARNING
                log.log(level, "%s: %s; again in %.1f s", self.resource.qualified, error, delay)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            delay = min(delay * 2, LAST_DELAY)

    async def _list(self) -> str:
        """Read the whole list page by page, and compare it with the cache. Returns the list's revision."""
        seen: set[ObjectKey] = set()
        token, size = "", self._page_size
        while True:
            try:
                page = await self._client.page(
                    self.resource,
                    self._namespace,
                    labels=self._labels,
                    fields=self._fields,
                    limit=size,
                    continue_token=token,
                    metadata_only=self._metadata_only,
                )
            except Gone:
                if not token:
                    raise
                seen, token, size = set(), "", 0
                continue
            for document in page.items:
                seen.add(self._put(document))
            token = page.continue_token
            if not token:
                break
        for key in [key for key in self._objects if key not in seen]:
            self._remove(key)
        self.lists += 1
        self._synced.set()
        return page.resource_version

    def _apply(self, batch: Events) -> None:
        for kind, document in batch:
            if kind == "DELETED":
                self._remove(key_of(document))
            elif kind != "BOOKMARK":
                self._put(document)

    def _put(self, document: Document) -> ObjectKey:
        key = key_of(document)
        old = self._objects.get(key)
        if old is not None:
            if old["metadata"].get("resourceVersion") == document["metadata"].get("resourceVersion"):
                return key
            if old["metadata"].get("uid") != document["metadata"].get("uid"):
                self._remove(key)  # deleted and created again while we did not look
                old = None
        new = self._transform(document)
        self._objects[key] = new
        self._reindex(key, old, new)
        for handler in self._handlers:
            handler(old, new)
        return key

    def _remove(self, key: ObjectKey) -> None:
        old = self._objects.pop(key, None)
        if old is None:
            return
        self._reindex(key, old, None)
        for handler in self._handlers:
            handler(old, None)

    def _reindex(self, key: ObjectKey, old: Document | None, new: Document | None) -> None:
        for index, entries in self._indexes.values():
            before = set(index(old)) if old is not None else set()
            after = set(index(new)) if new is not None else set()
            for value in before - after:
                keys = entries[value]
                del keys[key]
                if not keys:
                    del entries[value]
            for value in after - before:
                entries.setdefault(value, {})[key] = None


_Sort = tuple[Resource, str, bool]
"""Kind, namespace, and whether only metadata is kept."""


class Informers:
    """One informer for each kind, shared by all who ask within a process."""

    def __init__(self, client: ApiClient) -> None:
        self.client = client
        self._informers: dict[_Sort, Informer] = {}
        self._tasks: dict[_Sort, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def get(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        transform: Transform = without_managed_fields,
        metadata_only: bool = False,
    ) -> Informer:
        """The informer of ``resource``; whoever asks first decides ``transform``. Started at once where ``run`` runs."""
        key = (resource, namespace, metadata_only)
        informer = self._informers.get(key)
        if informer is None:
            informer = Informer(
                self.client, resource, namespace=namespace, transform=transform, metadata_only=metadata_only
            )
            self._informers[key] = informer
            if self._group is not None:
                self._tasks[key] = self._group.create_task(informer.run(), name=f"informer {resource.qualified}")
        return informer

    def find(self, resource: Resource) -> Informer | None:
        """The informer of whole objects in all namespaces, where somebody asked for one."""
        return self._informers.get((resource, "", False))

    def drop_metadata(self, resource: Resource) -> None:
        """Stop following the metadata of a kind that is no longer served."""
        key = (resource, "", True)
        self._informers.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def run(self) -> None:
        """Run all informers, also those asked for later, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for key, informer in self._informers.items():
                    name = f"informer {informer.resource.qualified}"
                    self._tasks[key] = group.create_task(informer.run(), name=name)
                await asyncio.get_running_loop().create_future()  # the group alone would end with its last member
            finally:
                self._group = None

    async def wait_synced(self) -> None:
        """Return when every informer has its first list."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()
