"""Answers in the form that the client accepts: stored bytes as they are wherever possible."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from moorage.api import asgi, conversion, tables
from moorage.api.encode import LIST_TAIL, dumps, list_header, partial, partial_list, yaml_bytes
from moorage.api.listing import Page, batches
from moorage.api.negotiate import YAML, Accepted, for_resource
from moorage.api.options import flag
from moorage.api.request import Request
from moorage.resources.kind import Document, Kind

PART_SIZE = 256 * 1024


def accepted(request: Request, watch: bool = False) -> Accepted:
    """The form that the request asks for. Raises ApiError 406."""
    return for_resource(request.header(b"accept"), watch)


async def send_object(request: Request, kind: Kind, data: bytes, code: int = 200) -> None:
    """Answer with one object of ``kind``, from its stored bytes."""
    form = accepted(request)
    if form.plain and not request.query and conversion.is_stored_form(kind):
        await request.respond(code, data)
        return
    data = conversion.served(kind, data)
    if not form.kind:
        await _send_data(request, form, data, code)
        return
    document = orjson.loads(data)
    if form.kind == "Table":
        await _send_value(request, form, _table(request, form, kind, [document]), code)
    else:
        await _send_value(request, form, partial(document, form.version), code)


async def send_value(request: Request, value: Any, code: int = 200) -> None:
    """Answer with a document that is not stored (a Status, a Scale)."""
    await _send_value(request, accepted(request), value, code)


async def send_page(request: Request, kind: Kind, page: Page) -> None:
    """Answer with a list."""
    form = accepted(request)
    if form.plain and not _pretty(request, form) and conversion.is_stored_form(kind):
        await _stream_page(request, kind, page)
        return
    documents = [conversion.served_document(kind, entry) for entry in page.entries]
    if form.kind == "Table":
        value = _table(request, form, kind, documents, page)
    elif form.kind:
        value = partial_list(documents, page.revision, page.token, page.remaining, form.version)
    else:
        value = orjson.loads(list_header(kind, page.revision, page.token, page.remaining) + LIST_TAIL)
        value["items"] = documents
    await _send_value(request, form, value, 200)


async def send_values(request: Request, kind: Kind, documents: Sequence[Document]) -> None:
    """Answer with a list of documents that are not stored."""
    form = accepted(request)
    if form.kind == "Table":
        table = tables.table(kind, documents, include=include_object(request), version=form.version)
        await _send_value(request, form, table, 200)
        return
    if form.kind:
        await _send_value(request, form, partial_list(documents, 0, "", None, form.version), 200)
        return
    whole = {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": {}, "items": list(documents)}
    await _send_value(request, form, whole, 200)


def include_object(request: Request) -> tables.Include:
    """``includeObject`` of a Table. Raises ApiError 400."""
    return tables.include_of(request.query.get("includeObject", ""))


def _table(
    request: Request, form: Accepted, kind: Kind, documents: Sequence[Document], page: Page | None = None
) -> Document:
    include = include_object(request)
    if page is None:
        return tables.table(kind, documents, include=include, version=form.version)
    return tables.table(
        kind, documents, page.revision, page.token, page.remaining, include=include, version=form.version
    )


async def _stream_page(request: Request, kind: Kind, page: Page) -> None:
    head = list_header(kind, page.revision, page.token, page.remaining)
    count = len(page.entries)
    if count < 64:
        body = b"".join((head, b",".join([entry.data for entry in page.entries]), LIST_TAIL))
        await request.respond(200, body)
        return
    size = len(head) + len(LIST_TAIL) + sum([len(entry.data) for entry in page.entries]) + count - 1
    request.code = 200

    async def parts() -> AsyncIterator[bytes]:
        lead = head
        for run in batches(page.entries, PART_SIZE):
            yield lead + b",".join([entry.data for entry in run])
            lead = b","
        yield LIST_TAIL

    await asgi.respond_parts(request.send, parts(), size, asgi.JSON, request.answer_headers())


async def _send_data(request: Request, form: Accepted, data: bytes, code: int) -> None:
    if form.media_type == YAML or _pretty(request, form):
        await _send_value(request, form, orjson.loads(data), code)
    else:
        await request.respond(code, data)


async def _send_value(request: Request, form: Accepted, value: Any, code: int) -> None:
    if form.media_type == YAML:
        await request.respond(code, yaml_bytes(value), b"application/yaml")
    else:
        await request.respond(code, dumps(value, pretty=_pretty(request, form)))


def _pretty(request: Request, form: Accepted) -> bool:
    return form.pretty or ("pretty" in request.query and bool(flag(request.query, "pretty")))
