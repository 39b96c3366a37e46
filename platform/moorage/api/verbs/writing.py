"""create, update and patch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from moorage.api import decode, negotiate, patch
from moorage.api.answers import send_object
from moorage.api.bodies import Body, object_body
from moorage.api.config import MAX_BODY
from moorage.api.contracts import Decision
from moorage.api.decode import Decoded
from moorage.api.errors import ApiError, bad_request, invalid
from moorage.api.options import META_GROUP, WriteOptions, write_options
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.writing.contracts import Planned, View, Writer
from moorage.api.writing.executor import Done, Plan
from moorage.resources.kind import Document, FieldError, Kind

Check = Callable[[Document], Awaitable[None]]


async def create(service: Service, request: Request, refused: Decision | None) -> None:
    """POST to a collection. ``refused``: the authorizer said no before it knew the object; it is asked again with it."""
    kind = request.kind
    options = write_options(request.query, "CreateOptions")
    body = await object_body(request, kind, options.strictness)
    if refused is not None:
        document = body()
        await service.authorise(
            request.identity,
            "create",
            kind.group,
            kind.plural,
            namespace=request.namespace,
            name=body.name,
            document=document,
        )
    writer = service.writer(request, options.manager, options.dry_run, options.strictness)

    async def plan(view: View) -> Planned:
        return await service.planner.create(view, writer, kind, request.namespace, body)

    await _run(service, request, plan, writer)


async def update(service: Service, request: Request) -> None:
    """PUT of an object or of its ``/status``."""
    await update_with(service, request)


async def update_with(service: Service, request: Request, check: Check | None = None) -> None:
    """PUT. ``check`` may refuse the body by raising ApiError."""
    kind = request.kind
    options = write_options(request.query, "UpdateOptions")
    body = await object_body(request, kind, options.strictness)
    if check is not None:
        await check(body())
    writer = service.writer(request, options.manager, options.dry_run, options.strictness)
    planner = service.planner

    async def plan(view: View) -> Planned:
        if request.subresource:
            return await planner.update(
                view, writer, kind, request.namespace, request.name, lambda _old: body(), request.subresource
            )
        return await planner.create_or_update(view, writer, kind, request.namespace, request.name, body)

    await _run(service, request, plan, writer)


async def patch_object(service: Service, request: Request) -> None:
    """PATCH of an object or of its ``/status``, with any of the four patch types."""
    kind = request.kind
    options = write_options(request.query, "PatchOptions")
    raw = await request.body(MAX_BODY)
    media_type = negotiate.media_type(request.header(b"content-type"))
    check_force(media_type, options)
    writer = service.writer(request, options.manager, options.dry_run, options.strictness)
    if media_type == negotiate.APPLY_PATCH:
        body = Body(lambda: _apply_body(raw, kind), request.warnings)
        plan = apply_plan(service, request, writer, body, bool(options.force))
    else:
        value = decode.decode_patch(raw, media_type)
        twice = () if options.strictness == "Ignore" else decode.patch_duplicates(raw, value, media_type)
        plan = patch_plan(service, request, writer, value, media_type, twice)
    await _run(service, request, plan, writer)


def apply_plan(service: Service, request: Request, writer: Writer, body: Body, force: bool) -> Plan:
    """Server-side apply of ``body``."""

    async def plan(view: View) -> Planned:
        return await service.planner.apply(
            view,
            writer,
            request.kind,
            request.namespace,
            request.name,
            body,
            force=force,
            subresource=request.subresource,
        )

    return plan


def patch_plan(
    service: Service, request: Request, writer: Writer, value: object, media_type: str, duplicates: tuple[str, ...] = ()
) -> Plan:
    """One of the three JSON patches; ``duplicates`` are texts of what it gave twice."""
    kind = request.kind

    def change(old: Document) -> Document:
        return patched(kind, old, value, media_type, writer, duplicates)

    async def plan(view: View) -> Planned:
        return await service.planner.update(
            view, writer, kind, request.namespace, request.name, change, request.subresource
        )

    return plan


def patched(
    kind: Kind, old: Document, value: object, media_type: str, writer: Writer, duplicates: tuple[str, ...] = ()
) -> Document:
    """``old`` with a patch applied and brought into stored form. Raises ApiError 400 and 422."""
    new = patch.apply_patch(old, value, media_type, kind)
    decode.check_type(new, kind)
    warnings = decode.conform_patched(new, kind, value, writer.strictness, duplicates)
    writer.warnings.extend(text for text in warnings if text not in writer.warnings)
    return new


def check_force(media_type: str, options: WriteOptions) -> None:
    """``force`` is for apply only, and apply needs a field manager. Raises ApiError 422."""
    if media_type == negotiate.APPLY_PATCH:
        if not options.manager:
            raise _invalid_patch("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
    elif options.force is not None:
        raise _invalid_patch("force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch")


def _apply_body(raw: bytes, kind: Kind) -> Decoded:
    value = decode.decode_patch(raw, negotiate.APPLY_PATCH)
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: the body of an apply patch must be an object")
    # Checked by the apply itself: bringing it into stored form first would lose what the client says by empty values.
    decode.check_type(value, kind)
    return Decoded(value)


def _invalid_patch(path: str, reason: Any, message: str) -> ApiError:
    return invalid(META_GROUP, "PatchOptions", "", [FieldError(path, reason, message)])


async def _run(service: Service, request: Request, plan: Plan, writer: Writer) -> None:
    done: Done = await service.executor.run(plan, writer, service.origin(request, writer.manager))
    code = 201 if done.planned.action == "created" else 200
    await send_object(request, request.kind, done.data, code)
