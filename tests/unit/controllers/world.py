"""An API in memory for controllers in virtual time: objects, watches that lag, owner references, finalizers.

Only what the clients here use, and only metadata semantics; the real API's behaviour is tested with the real API.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, cast

import orjson

from moorage.client.api import ApiClient, Page
from moorage.client.connection import Response
from moorage.client.errors import AlreadyExists, ApiError, Conflict, NotFound
from moorage.client.objects import Document
from moorage.client.operations import Outcome, Result
from moorage.client.resource import BUILT_IN, Resource
from moorage.client.watch import Events, WatchEvent

_KINDS = {(each.api_version, each.kind): each for each in BUILT_IN}
_Key = tuple[str, str, str]


class World:
    """``lag`` is the most virtual seconds by which a watch event may be late."""

    def __init__(self, seed: int = 0, lag: float = 0.5) -> None:
        self.objects: dict[_Key, Document] = {}
        self.deleted: list[Document] = []
        self.operations: list[Document] = []
        self._log: list[tuple[int, Resource, WatchEvent]] = []
        self._changed = asyncio.Condition()
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)
        self._names = itertools.count(1)
        self._rng = random.Random(seed)
        self._lag = lag

    @property
    def client(self) -> ApiClient:
        """This world as a client."""
        return cast(ApiClient, self)

    def put(self, resource: Resource, document: Document) -> Document:
        """Make an object as if somebody else had."""
        document = copy.deepcopy(document)
        metadata = document["metadata"]
        document.setdefault("apiVersion", resource.api_version)
        document.setdefault("kind", resource.kind)
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{next(self._names)}"
        metadata.setdefault("uid", f"uid-{next(self._uids)}")
        key = self._key(resource, metadata.get("namespace", ""), metadata["name"])
        if key in self.objects:
            raise AlreadyExists(409, {"message": f"{key} exists", "reason": "AlreadyExists"})
        return self._store(resource, "ADDED", document)

    def find(self, resource: Resource, name: str, namespace: str = "") -> Document | None:
        """An object as it is."""
        return self.objects.get(self._key(resource, namespace, name))

    def all(self, resource: Resource) -> list[Document]:
        """Objects of a kind."""
        return [document for key, document in self.objects.items() if key[0] == resource.qualified]

    def change(self, resource: Resource, document: Document, **fields: Any) -> None:
        """Replace top-level fields of an object."""
        self._store(resource, "MODIFIED", {**document, **fields})

    async def get(self, resource: Resource, name: str, namespace: str = "", *, metadata_only: bool = False) -> Document:
        found = self.find(resource, name, namespace if resource.namespaced else "")
        await asyncio.sleep(0)
        if found is None:
            raise NotFound(404, {"message": f"{resource.qualified} {namespace}/{name} not found"})
        return copy.deepcopy(found)

    async def page(self, resource: Resource, namespace: str = "", **_options: Any) -> Page:
        await asyncio.sleep(0)
        items = [copy.deepcopy(each) for each in self.all(resource)]
        return Page([each for each in items if not namespace or _namespace(each) == namespace], str(len(self._log)), "")

    async def watch_batches(
        self, resource: Resource, namespace: str = "", *, resource_version: str, **_options: Any
    ) -> AsyncGenerator[Events, None]:
        position = int(resource_version)
        while True:
            async with self._changed:
                while len(self._log) <= position:
                    await self._changed.wait()
            await asyncio.sleep(self._rng.uniform(0, self._lag))
            news = self._log[position:]
            position = len(self._log)
            batch = [copy.deepcopy(event) for _, kind, event in news if kind == resource]
            if batch:
                yield batch

    async def batch(self, operations: Sequence[Document], **_options: Any) -> Outcome:
        await asyncio.sleep(self._rng.uniform(0, self._lag))
        results = []
        for operation in operations:
            self.operations.append(copy.deepcopy(operation))
            try:
                done = self._operate(operation)
                results.append(Result("done", "", "", "", done["metadata"]["name"], "", "1"))
            except ApiError as error:
                results.append(Result("", "", "", "", "", "", "", error))
        async with self._changed:
            self._changed.notify_all()
        return Outcome("1", results)

    async def request(self, _method: str, path: str) -> Response:
        """Discovery."""
        if path == "/apis":
            groups = sorted({(each.group, each.version) for each in BUILT_IN if each.group})
            document: Document = {
                "groups": [{"name": group, "versions": [{"version": version}]} for group, version in groups]
            }
        else:
            verbs = ["create", "delete", "deletecollection", "get", "list", "watch"]
            document = {
                "resources": [
                    {"name": each.plural, "kind": each.kind, "namespaced": each.namespaced, "verbs": verbs}
                    for each in BUILT_IN
                    if path in (f"/apis/{each.api_version}", f"/api/{each.api_version}")
                ]
            }
        return Response(200, {}, orjson.dumps(document))

    def _operate(self, operation: Document) -> Document:
        if operation["verb"] == "create":
            document = operation["object"]
            return self.put(_KINDS[document["apiVersion"], document["kind"]], document)
        resource = _KINDS[operation["apiVersion"], operation["kind"]]
        found = self.find(resource, operation["name"], operation.get("namespace", ""))
        if found is None:
            raise NotFound(404, {"message": f"{operation['name']} not found"})
        change = operation.get("patch") or {}
        wanted = {**operation, **(change.get("metadata") or {})}
        for field in ("uid", "resourceVersion"):
            if wanted.get(field, found["metadata"][field]) != found["metadata"][field]:
                raise Conflict(409, {"message": f"{field} changed"})
        if operation["verb"] == "delete":
            return self._delete(resource, copy.deepcopy(found), operation.get("propagationPolicy", "Background"))
        return self._patched(resource, cast(Document, _merge(copy.deepcopy(found), change)))

    def _delete(self, resource: Resource, document: Document, propagation: str) -> Document:
        metadata = document["metadata"]
        finalizers = set(metadata.get("finalizers") or ())
        finalizers |= {"Foreground": {"foregroundDeletion"}, "Orphan": {"orphan"}}.get(propagation, set())
        if not finalizers:
            return self._remove(resource, document)
        metadata["finalizers"] = sorted(finalizers)
        metadata.setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
        return self._store(resource, "MODIFIED", document)

    def _patched(self, resource: Resource, document: Document) -> Document:
        metadata = document["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            return self._remove(resource, document)
        return self._store(resource, "MODIFIED", document)

    def _remove(self, resource: Resource, document: Document) -> Document:
        del self.objects[self._key(resource, _namespace(document), document["metadata"]["name"])]
        self.deleted.append(document)
        self._note(resource, "DELETED", document)
        return document

    def _store(self, resource: Resource, kind: str, document: Document) -> Document:
        document = copy.deepcopy(document)
        document["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[self._key(resource, _namespace(document), document["metadata"]["name"])] = document
        self._note(resource, kind, document)
        return document

    def _note(self, resource: Resource, kind: str, document: Document) -> None:
        self._log.append((len(self._log), resource, WatchEvent(kind, copy.deepcopy(document))))

    async def notify(self) -> None:
        """Let watches see what ``put`` and ``change`` did."""
        async with self._changed:
            self._changed.notify_all()

    def _key(self, resource: Resource, namespace: str, name: str) -> _Key:
        return (resource.qualified, namespace if resource.namespaced else "", name)


def _namespace(document: Document) -> str:
    return str(document["metadata"].get("namespace") or "")


def _merge(target: object, change: object) -> object:
    """RFC 7386."""
    if not isinstance(change, Mapping):
        return change
    result: Document = dict(target) if isinstance(target, Mapping) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result
