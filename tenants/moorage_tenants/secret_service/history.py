"""The endpoints of a Secret's past: what versions there are, one of them whole, and going back to it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse

from moorage.api.contracts import Identity, Operation, TransactionRequest, Transactor
from moorage.api.entrance import client_of
from moorage.api.errors import ApiError, conflict, invalid, not_found
from moorage.api.request import request_id_of
from moorage.resources.core.secrets import SECRET
from moorage.resources.kind import Document, FieldError
from moorage.resources.sealed_secrets import SEALED_SECRET
from moorage.store.contracts import Entry, Store
from moorage_tenants.secret_service.guard import Guard, body_of
from moorage_tenants.secret_service.sealed import place

MANAGER = "moorage-secrets"
_KEPT_METADATA = ("name", "namespace", "labels", "annotations")


class Version(Protocol):
    """One version, without its contents. Times are seconds since the epoch."""

    version: int
    uid: str
    revision: int
    actor: str
    source_commit: str
    at: float
    deleted_at: float | None


class Versions(Protocol):
    """The last versions of each Secret (``store.secret_versions``). Methods raise Unavailable."""

    async def list(self, namespace: str, name: str) -> Any:
        """``Version``s, newest first."""
        ...

    async def get(self, namespace: str, name: str, version: int) -> Entry | None:
        """The Secret as it was, or None."""
        ...


class HistoryEndpoints:
    """The handlers."""

    def __init__(self, guard: Guard, store: Store, versions: Versions, transactor: Transactor) -> None:
        self._guard = guard
        self._store = store
        self._versions = versions
        self._transactor = transactor

    async def list(self, request: Request) -> JSONResponse:
        """GET: the versions, newest first; what changed between them by key, no value. Asked for as a read of the Secret."""
        namespace, name = place(request)
        await self._guard.allow(request, "get", "", "secrets", namespace, name, "history")
        rows = list(await self._versions.list(namespace, name))
        if not rows:
            raise not_found("", "secrets", name)
        documents = [await self._document(namespace, name, row.version) for row in rows]
        current = await self._current(namespace, name)
        items = []
        for index, (row, document) in enumerate(zip(rows, documents, strict=True)):
            before = documents[index + 1] if index + 1 < len(documents) else None
            shown = _shown(row)
            shown["current"] = current is not None and current.uid == row.uid and index == 0
            shown["changed"] = _changed(document, before)
            items.append(shown)
        return JSONResponse({"kind": "SecretHistory", "apiVersion": "moorage.io/v1", "metadata": {}, "items": items})

    async def get(self, request: Request) -> JSONResponse:
        """GET: the Secret as it was in a version. Asked for as a read of the Secret."""
        namespace, name = place(request)
        await self._guard.allow(request, "get", "", "secrets", namespace, name, "history")
        document = await self._document(namespace, name, int(request.path_params["version"]))
        if document is None:
            raise _no_version(name, int(request.path_params["version"]))
        return JSONResponse(document, headers={"cache-control": "no-store"})

    async def rollback(self, request: Request) -> JSONResponse:
        """POST ``{"version": N}``: put the values of a version back, as a change like any other, by who asks."""
        namespace, name = place(request)
        identity = await self._guard.allow(request, "update", "", "secrets", namespace, name, "rollback")
        asked = await body_of(request)
        version = asked.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            error = FieldError(
                "version", "FieldValueRequired", "Required value: the number of a version; see the history"
            )
            raise invalid("", "Secret", name, [error])
        old = await self._document(namespace, name, version)
        if old is None:
            raise _no_version(name, version)
        transaction = TransactionRequest(
            [],
            dry_run=bool(asked.get("dryRun")),
            field_manager=MANAGER,
            request_id=request_id_of(request.scope),
            client=client_of(request.scope),
        )
        written = await self._write(identity, namespace, name, old, transaction)
        return JSONResponse({**written, "data": dict.fromkeys(written.get("data") or {}, "")})

    async def _write(
        self, identity: Identity, namespace: str, name: str, old: Document, transaction: TransactionRequest
    ) -> Document:
        metadata = {key: value for key, value in old["metadata"].items() if key in _KEPT_METADATA}
        document = {**old, "metadata": metadata}
        current = await self._current(namespace, name)
        if current is not None:
            # Who owns it and what holds it back is of today; what it says is of then.
            today = current.document()["metadata"]
            _refuse_sealed(name, today)
            metadata |= {
                key: today[key] for key in ("ownerReferences", "finalizers", "resourceVersion") if key in today
            }
        operation = Operation(
            "create" if current is None else "update", SECRET, namespace, name, document, field_manager=MANAGER
        )
        result = await self._transactor.transact(identity, replace(transaction, operations=[operation]))
        error = result.error or next((each.error for each in result.results if each.error), None)
        if error is not None:
            raise ApiError(
                int(error["code"]),
                str(error["message"]),
                reason=str(error.get("reason", "")),
                details=error.get("details"),
            )
        written = result.results[0].document
        assert written is not None
        return written

    async def _document(self, namespace: str, name: str, version: int) -> Document | None:
        entry = await self._versions.get(namespace, name, version)
        return None if entry is None else entry.document()

    async def _current(self, namespace: str, name: str) -> Entry | None:
        cache = await self._store.cache(SECRET.storage)
        await cache.wait(await self._store.latest())
        return cache.get(namespace, name)


def _refuse_sealed(name: str, metadata: Document) -> None:
    """Raises ApiError 409 for a Secret that follows a SealedSecret: it would be set right again at once."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == SEALED_SECRET.kind:
            raise conflict(
                "",
                "secrets",
                name,
                f'it is made from SealedSecret "{owner["name"]}"; go back to the commit that held it',
            )


def _shown(row: Version) -> Document:
    shown: Document = {
        "version": row.version,
        "uid": row.uid,
        "resourceVersion": str(row.revision),
        "user": row.actor,
        "time": _stamp(row.at),
    }
    if row.source_commit:
        shown["commit"] = row.source_commit
    if row.deleted_at is not None:
        shown["deletedAt"] = _stamp(row.deleted_at)
    return shown


def _changed(document: Document | None, before: Document | None) -> dict[str, list[str]]:
    """Which keys came, changed and went."""
    new = (document or {}).get("data") or {}
    old = (before or {}).get("data") or {}
    return {
        "added": sorted(new.keys() - old.keys()),
        "changed": sorted(key for key in new.keys() & old.keys() if new[key] != old[key]),
        "removed": sorted(old.keys() - new.keys()),
    }


def _no_version(name: str, version: int) -> ApiError:
    error = not_found("", "secrets", name)
    return ApiError(
        404, f"{error}: version {version} is not kept; see: moorage secrets history {name}", reason="NotFound"
    )


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
