"""``/scale``: the replicas of an object, whatever its kind."""

from __future__ import annotations

from typing import Any

import orjson

from moorage.api import conversion, decode, negotiate, patch
from moorage.api.answers import send_value
from moorage.api.config import MAX_BODY
from moorage.api.errors import invalid, not_found
from moorage.api.freshness import not_older
from moorage.api.options import resource_version, write_options
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.verbs.writing import check_force
from moorage.api.writing import strategy
from moorage.api.writing.contracts import Planned, View, Writer
from moorage.resources.autoscaling import SCALE, scale_of, scaled
from moorage.resources.field_errors import not_negative
from moorage.resources.kind import Document, Kind


async def get(service: Service, request: Request) -> None:
    """GET of ``/scale``."""
    kind = request.kind
    cache = await not_older(service.store, kind.storage, resource_version(request.query.get("resourceVersion", "")))
    entry = cache.get(request.namespace, request.name)
    if entry is None:
        raise not_found(kind.group, kind.plural, request.name)
    await send_value(request, scale_of(conversion.served_document(kind, entry)))


async def update(service: Service, request: Request) -> None:
    """PUT of ``/scale``."""
    options = write_options(request.query, "UpdateOptions")
    raw = await request.body(MAX_BODY)
    content_type = request.header(b"content-type")
    decoded = decode.decode_object(raw, content_type, SCALE, options.strictness)
    request.warnings.extend(decoded.warnings)
    writer = service.writer(request, options.manager, options.dry_run, options.strictness)

    def change(old: Document) -> Document:
        return rescaled(request.kind, old, decoded.document)

    await _run(service, request, change, writer)


async def patch_scale(service: Service, request: Request) -> None:
    """PATCH of ``/scale``."""
    options = write_options(request.query, "PatchOptions")
    raw = await request.body(MAX_BODY)
    media_type = negotiate.media_type(request.header(b"content-type"))
    check_force(media_type, options)
    writer = service.writer(request, options.manager, options.dry_run, options.strictness)
    value = decode.decode_patch(raw, media_type)

    def change(old: Document) -> Document:
        return rescaled(request.kind, old, patched_scale(scale_of(old), value, media_type, writer))

    await _run(service, request, change, writer)


def patched_scale(scale: Document, value: Any, media_type: str, writer: Writer) -> Document:
    """A Scale with a patch applied. An applied Scale has one field, so an apply patch is a merge patch of it."""
    kind = negotiate.MERGE_PATCH if media_type == negotiate.APPLY_PATCH else media_type
    new = patch.apply_patch(scale, value, kind, SCALE)
    decode.check_type(new, SCALE)
    decode.conform(new, SCALE, writer.strictness)
    return new


def rescaled(kind: Kind, old: Document, scale: Document) -> Document:
    """The object with the replicas of ``scale``. Raises ApiError 400, 409, 422."""
    metadata = strategy.metadata_of(scale)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    errors = not_negative("spec.replicas", replicas)
    if errors:
        raise invalid(SCALE.group, SCALE.kind, old["metadata"]["name"], errors)
    strategy.same_object(kind, scale, old, old["metadata"]["name"])
    new = scaled(old, scale)
    new["metadata"] = {**old["metadata"], "resourceVersion": metadata.get("resourceVersion", "")}
    return new


async def _run(service: Service, request: Request, change: Any, writer: Writer) -> None:
    kind = request.kind

    async def plan(view: View) -> Planned:
        return await service.planner.update(view, writer, kind, request.namespace, request.name, change, "scale")

    done = await service.executor.run(plan, writer, service.origin(request, writer.manager))
    document = orjson.loads(conversion.served(kind, done.data))
    await send_value(request, scale_of(document))
