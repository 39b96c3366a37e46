"""delete and deletecollection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moorage.api import conversion
from moorage.api.answers import send_object, send_value
from moorage.api.config import MAX_BODY
from moorage.api.decode import decode_body
from moorage.api.errors import ApiError
from moorage.api.filtering import Filter
from moorage.api.listing import page
from moorage.api.options import DeleteOptions, ListOptions, delete_options
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.writing.contracts import Planned, View, Writer
from moorage.api.writing.views import CacheView
from moorage.resources.kind import Kind
from moorage.store.contracts import Entry, Outcome

RETURNED = frozenset(
    ("pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "podtemplates")
)
"""Kinds of which a delete returns the object although it is gone (Kubernetes' ReturnDeletedObject)."""
BATCH = 500
"""Deletions of one commit of deletecollection."""


async def delete(service: Service, request: Request) -> None:
    """DELETE of one object."""
    kind = request.kind
    options = await _options(request)
    writer = service.writer(request, "", options.dry_run)

    async def plan(view: View) -> Planned:
        return await service.deleter.delete(view, writer, kind, request.namespace, request.name, options)

    done = await service.executor.run(plan, writer, service.origin(request, ""))
    planned = done.planned
    if planned.gone and kind.plural not in RETURNED:
        await send_value(request, _gone(kind, planned))
        return
    foreground = options.policy == "Foreground" or options.explicit_orphan
    await send_object(request, kind, done.data, 202 if foreground and not planned.gone else 200)


async def delete_collection(service: Service, request: Request, options: ListOptions, only: Filter) -> None:
    """DELETE of a collection: every selected object, each alone. Answers with the objects as a list."""
    kind = request.kind
    how = await _options(request)
    writer = service.writer(request, "", how.dry_run)
    namespace = request.namespace or None if kind.namespaced else None
    found = await page(service.store, kind.storage, namespace, options, only)
    for start in range(0, len(found.entries), BATCH):
        await _delete_all(service, request, writer, found.entries[start : start + BATCH], how)
    items = [conversion.served_document(kind, entry) for entry in found.entries]
    answer: dict[str, Any] = {
        "kind": kind.list_kind,
        "apiVersion": kind.api_version,
        "metadata": {"resourceVersion": str(found.revision)},
        "items": items,
    }
    await send_value(request, answer)


async def _delete_all(
    service: Service, request: Request, writer: Writer, entries: Sequence[Entry], options: DeleteOptions
) -> None:
    """One commit for all; those that changed meanwhile are deleted one by one, those that are gone are passed over."""
    view, writes, alone = CacheView(service.store), [], []
    for entry in entries:
        key = entry.key
        try:
            planned = await service.deleter.delete(view, writer, request.kind, key.namespace, key.name, options)
        except ApiError:
            # What lags behind, or is refused, is looked at again by itself: its error is the answer.
            alone.append(key)
            continue
        if planned.companions:
            alone.append(key)
        elif planned.write is not None:
            writes.append(planned.write)
    if writes and not options.dry_run:
        verdicts = await service.store.commit(writes, service.origin(request, ""))
        alone += [
            write.key
            for write, verdict in zip(writes, verdicts, strict=True)
            if verdict.outcome not in (Outcome.WRITTEN, Outcome.NOT_FOUND)
        ]
    for key in alone:
        await _delete_one(service, request, writer, key.namespace, key.name, options)


async def _delete_one(
    service: Service, request: Request, writer: Writer, namespace: str, name: str, options: DeleteOptions
) -> None:
    async def plan(view: View) -> Planned:
        return await service.deleter.delete(view, writer, request.kind, namespace, name, options)

    try:
        await service.executor.run(plan, writer, service.origin(request, ""))
    except ApiError as error:
        if error.code != 404:
            raise


async def _options(request: Request) -> DeleteOptions:
    raw = await request.body(MAX_BODY)
    body = decode_body(raw, request.header(b"content-type")).document if raw.strip() else None
    return delete_options(request.query, body)


def _gone(kind: Kind, planned: Planned) -> dict[str, Any]:
    details = {"name": planned.key.name, "group": kind.group, "kind": kind.plural, "uid": planned.uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }
