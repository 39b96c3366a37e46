"""The verbs of the API as methods of one client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import aiohttp
import orjson

from moorage.client import kubeconfig
from moorage.client.connection import Connection, Response
from moorage.client.credentials import Token, tls_context
from moorage.client.errors import Gone
from moorage.client.operations import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Operation,
    Outcome,
    outcome_of,
)
from moorage.client.resource import Resource
from moorage.client.selectors import Selector, params, selector_text
from moorage.client.watch import Events, WatchEvent, watch_batches

Document = dict[str, Any]
PatchType = Literal["json", "merge", "strategic"]

_CONTENT_TYPES: dict[str, str] = {"json": JSON_PATCH, "merge": MERGE_PATCH, "strategic": STRATEGIC_PATCH}


class ObjectList(NamedTuple):
    """A list, and the resourceVersion from which a watch carries on."""

    items: list[Document]
    resource_version: str


class Page(NamedTuple):
    """A part of a list. ``continue_token`` is "" on the last one."""

    items: list[Document]
    resource_version: str
    continue_token: str


class ApiClient:
    """One server, one identity. An async context manager; safe for any number of tasks of one event loop."""

    def __init__(
        self,
        server: str,
        *,
        token: str = "",
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
        ca_pem: str = "",
        user_agent: str = "moorage",
        timeout: float = 30.0,
    ) -> None:
        """``timeout`` is seconds for a request. Raises ValueError, OSError and ssl.SSLError on unusable settings."""
        bearer = Token(token, token_file) if token or token_file else None
        tls = tls_context(ca_file=ca_file, ca_pem=ca_pem)
        self.connection = Connection(server, tls, bearer, user_agent=user_agent, timeout=timeout)
        self.namespace = ""

    @classmethod
    def from_kubeconfig(cls, path: str | Path, context: str = "", *, user_agent: str = "moorage") -> ApiClient:
        """The client that a kubeconfig describes; ``namespace`` is its context's. Raises KubeconfigError, OSError."""
        config = kubeconfig.load(path, context)
        client = cls.__new__(cls)
        client.connection = Connection(
            config.server, kubeconfig.context_of(config), config.client_token(), user_agent=user_agent
        )
        client.namespace = config.namespace
        return client

    @property
    def server(self) -> str:
        """``https://HOST:PORT``."""
        return self.connection.server

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pool of connections."""
        await self.connection.close()

    async def get(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        subresource: str = "",
        metadata_only: bool = False,
    ) -> Document:
        """Read one object. Raises NotFound and other ClientErrors, as every method here does."""
        headers = _accept("PartialObjectMetadata") if metadata_only else None
        answer = await self.connection.request("GET", resource.path(namespace, name, subresource), headers=headers)
        document: Document = answer.json()
        return document

    async def page(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: Selector = "",
        fields: Selector = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
        match: str = "",
        metadata_only: bool = False,
    ) -> Page:
        """One page of a list, as the server cuts it. Raises Gone where ``continue_token`` is too old."""
        query = params(
            label_selector=selector_text(labels),
            field_selector=selector_text(fields),
            limit=limit or None,
            resource_version=resource_version,
            resource_version_match=match,
        )
        if continue_token:
            query["continue"] = continue_token
        headers = _accept("PartialObjectMetadataList") if metadata_only else None
        answer = await self.connection.request(
            "GET", resource.path(namespace), params=query, headers=headers, timeout=120.0
        )
        document = answer.json()
        items: list[Document] = document.get("items") or []
        if not metadata_only:
            for item in items:  # lists of built-in kinds may leave these out
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
        metadata = document.get("metadata") or {}
        return Page(items, str(metadata.get("resourceVersion") or ""), str(metadata.get("continue") or ""))

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: Selector = "",
        fields: Selector = "",
        page_size: int = 500,
        metadata_only: bool = False,
    ) -> ObjectList:
        """The whole list, read in pages of one revision; where that is forgotten meanwhile, in one piece."""
        items: list[Document] = []
        token = ""
        while True:
            try:
                page = await self.page(
                    resource,
                    namespace,
                    labels=labels,
                    fields=fields,
                    limit=page_size,
                    continue_token=token,
                    metadata_only=metadata_only,
                )
            except Gone:
                if not token:
                    raise
                items, token, page_size = [], "", 0
                continue
            items += page.items
            token = page.continue_token
            if not token:
                return ObjectList(items, page.resource_version)

    async def create(
        self,
        resource: Resource,
        document: Mapping[str, Any],
        namespace: str = "",
        *,
        name: str = "",
        subresource: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Create an object (``name`` and ``subresource``: post to a subresource, as ``binding``)."""
        path = resource.path(namespace or _namespace(document), name, subresource)
        return await self._json("POST", path, document, params=_write_options(field_manager, dry_run))

    async def update(
        self,
        resource: Resource,
        document: Mapping[str, Any],
        *,
        subresource: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Replace an object; with a resourceVersion in it, only that version (Conflict else)."""
        path = resource.path(_namespace(document), document["metadata"]["name"], subresource)
        return await self._json("PUT", path, document, params=_write_options(field_manager, dry_run))

    async def patch(
        self,
        resource: Resource,
        name: str,
        change: object,
        namespace: str = "",
        *,
        kind: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Change some fields of an object."""
        return await self._json(
            "PATCH",
            resource.path(namespace, name, subresource),
            change,
            params=_write_options(field_manager, dry_run),
            content_type=_CONTENT_TYPES[kind],
        )

    async def apply(
        self,
        resource: Resource,
        document: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Server-side apply: create or merge what ``document`` names, owned by ``field_manager``."""
        query = _write_options(field_manager, dry_run)
        query["force"] = "true" if force else "false"
        path = resource.path(_namespace(document), document["metadata"]["name"], subresource)
        return await self._json("PATCH", path, document, params=query, content_type=APPLY_PATCH)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_seconds: int | None = None,
        propagation: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Delete an object; the answer is the object (where it goes on to exist for a while) or a Status."""
        options = _delete_options(uid, resource_version, grace_seconds, propagation, dry_run)
        return await self._json("DELETE", resource.path(namespace, name), options)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: Selector = "",
        fields: Selector = "",
        grace_seconds: int | None = None,
        propagation: str = "",
    ) -> Document:
        """Delete all that the selectors match."""
        query = params(label_selector=selector_text(labels), field_selector=selector_text(fields))
        options = _delete_options("", "", grace_seconds, propagation, False)
        return await self._json("DELETE", resource.path(namespace), options, params=query, timeout=120.0)

    async def watch(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        resource_version: str,
        labels: Selector = "",
        fields: Selector = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        """Every change after ``resource_version``, bookmarks included, across broken connections. Raises Gone: list again."""
        batches = self.watch_batches(
            resource, namespace, resource_version=resource_version, labels=labels, fields=fields
        )
        async with contextlib.aclosing(batches):
            async for batch in batches:
                for event in batch:
                    yield event

    def watch_batches(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        resource_version: str,
        labels: Selector = "",
        fields: Selector = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[Events, None]:
        """As ``watch``, but as many events at a time as arrived together."""
        query = params(label_selector=selector_text(labels), field_selector=selector_text(fields))
        headers = _accept("PartialObjectMetadata") if metadata_only else None
        return watch_batches(self.connection, resource.path(namespace), query, resource_version, headers)

    async def transact(
        self,
        operations: Sequence[Operation],
        *,
        preconditions: Sequence[Mapping[str, Any]] = (),
        field_manager: str = "",
        source_commit: str = "",
        dry_run: bool = False,
    ) -> Outcome:
        """All operations or none. A refusal raises the ApiError whose causes name ``operations[N]``."""
        spec = _bulk_spec(operations, field_manager, dry_run)
        if preconditions:
            spec["preconditions"] = list(preconditions)
        if source_commit:
            spec["sourceCommit"] = source_commit
        return await self._bulk("transactions", "Transaction", spec)

    async def batch(
        self, operations: Sequence[Operation], *, field_manager: str = "", dry_run: bool = False
    ) -> Outcome:
        """Each operation alone; the failed ones carry their error in their result."""
        return await self._bulk("batches", "Batch", _bulk_spec(operations, field_manager, dry_run))

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Any path of the server."""
        return await self.connection.request(method, path, params=params, body=body, headers=headers)

    def stream(
        self, path: str, *, params: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.StreamReader]:
        """The body of a GET as it comes (logs)."""
        return self.connection.stream("GET", path, params=params, timeout=timeout)

    def websocket(
        self, path: str, *, heartbeat: float = 15.0
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """An upgraded connection (node tunnels)."""
        return self.connection.websocket(path, heartbeat=heartbeat)

    async def version(self) -> Document:
        """``/version``."""
        return await self._json("GET", "/version")

    async def _bulk(self, plural: str, kind: str, spec: Mapping[str, Any]) -> Outcome:
        document = {"apiVersion": "moorage.io/v1", "kind": kind, "spec": spec}
        return outcome_of(await self._json("POST", f"/apis/moorage.io/v1/{plural}", document, timeout=60.0))

    async def _json(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> Document:
        body = None if document is None else orjson.dumps(document)
        headers = None if body is None else {"Content-Type": content_type}
        answer = await self.connection.request(method, path, params=params, body=body, headers=headers, timeout=timeout)
        result: Document = answer.json()
        return result


def _namespace(document: Mapping[str, Any]) -> str:
    return str(document["metadata"].get("namespace") or "")


def _accept(kind: str) -> dict[str, str]:
    """Asks for metadata only; a server that does not know the form sends whole objects, which hold the same metadata."""
    return {"Accept": f"application/json;as={kind};g=meta.k8s.io;v=v1,application/json"}


def _write_options(field_manager: str, dry_run: bool) -> dict[str, str]:
    return params(field_manager=field_manager, dry_run="All" if dry_run else "")


def _delete_options(
    uid: str, resource_version: str, grace_seconds: int | None, propagation: str, dry_run: bool
) -> Document | None:
    options: Document = {}
    preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
    if preconditions:
        options["preconditions"] = preconditions
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    if propagation:
        options["propagationPolicy"] = propagation
    if dry_run:
        options["dryRun"] = ["All"]
    return {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None


def _bulk_spec(operations: Sequence[Operation], field_manager: str, dry_run: bool) -> Document:
    spec: Document = {"operations": list(operations)}
    if field_manager:
        spec["fieldManager"] = field_manager
    if dry_run:
        spec["dryRun"] = True
    return spec
