"""One operation of a transaction or batch: what right it needs, and its plan."""

from __future__ import annotations

import orjson

from moorage.api import decode, negotiate
from moorage.api.contracts import Attributes, Authorizer, Decision, Identity, Operation
from moorage.api.errors import ApiError, bad_request, conflict
from moorage.api.options import DeleteOptions
from moorage.api.service import Service
from moorage.api.verbs.scaling import patched_scale, rescaled
from moorage.api.verbs.writing import patched
from moorage.api.writing import binding
from moorage.api.writing.contracts import Planned, View, Writer
from moorage.resources.autoscaling import SCALE, scale_of
from moorage.resources.core.pods.declaration import BINDING
from moorage.resources.kind import Document, Kind

_VERBS = {"apply": "patch"}


async def permitted(authorizer: Authorizer, identity: Identity, operation: Operation, view: View) -> Decision:
    """Whether ``identity`` may do this operation, asked as for a request of its own; ``view`` is what it would see."""
    kind = operation.kind
    attributes = Attributes(
        identity,
        _VERBS.get(operation.verb, operation.verb),
        kind.group,
        kind.plural,
        operation.subresource,
        operation.namespace,
        operation.name,
        document=operation.document,
        view=view,
    )
    return await authorizer.authorise(attributes)


def body_kind(operation: Operation) -> Kind:
    """The kind of the operation's ``document``: a subresource may have one of its own."""
    return {"binding": BINDING, "scale": SCALE}.get(operation.subresource, operation.kind)


async def plan(service: Service, view: View, writer: Writer, operation: Operation) -> Planned:
    """What the operation comes to. Raises ApiError as a request of its own would."""
    planner, kind = service.planner, operation.kind
    namespace, name, subresource = operation.namespace, operation.name, operation.subresource

    def source() -> Document:
        return _document(operation, writer)

    def config() -> Document:
        return _copy(operation)

    def change(old: Document) -> Document:
        _check_identity(operation, old)
        return _changed(operation, old, writer)

    match operation.verb:
        case "create" if subresource == "":
            return await planner.create(view, writer, kind, namespace, source)
        case "apply" if subresource in ("", "status"):
            if operation.uid or operation.resource_version:
                current = await view.get(kind, namespace, name)
                _check_identity(operation, current.document() if current is not None else None)
            return await planner.apply(
                view, writer, kind, namespace, name, config, force=operation.force, subresource=subresource
            )
        case "update" if subresource == "":
            return await planner.create_or_update(view, writer, kind, namespace, name, source)
        case "delete" if subresource == "":
            options = DeleteOptions(
                writer.dry_run,
                operation.grace_seconds,
                operation.propagation,
                operation.uid,
                operation.resource_version,
            )
            return await service.deleter.delete(view, writer, kind, namespace, name, options)
        case "create" | "update" | "patch":
            return await planner.update(view, writer, kind, namespace, name, change, subresource)
    raise bad_request(f'verb "{operation.verb}" is not known for subresource "{subresource}"')


def _changed(operation: Operation, old: Document, writer: Writer) -> Document:
    kind, subresource = operation.kind, operation.subresource
    if operation.verb == "patch":
        media_type = negotiate.media_type(operation.patch_type)
        if subresource == "scale":
            return rescaled(kind, old, patched_scale(scale_of(old), operation.patch, media_type, writer))
        return patched(kind, old, operation.patch, media_type, writer)
    document = _document(operation, writer)
    if subresource == "scale":
        return rescaled(kind, old, document)
    if subresource == "binding":
        return binding.bound(kind, old, document, operation.name)
    return document


def _document(operation: Operation, writer: Writer) -> Document:
    """The operation's document in stored form, a copy of its own."""
    document, kind = _copy(operation), body_kind(operation)
    warnings = decode.conform(document, kind, writer.strictness)
    writer.warnings.extend(text for text in warnings if text not in writer.warnings)
    return document


def _copy(operation: Operation) -> Document:
    if operation.document is None:
        raise bad_request("an object is required")
    document: Document = orjson.loads(orjson.dumps(operation.document))
    decode.check_type(document, body_kind(operation))
    return document


def _check_identity(operation: Operation, old: Document | None) -> None:
    metadata = old["metadata"] if old is not None else {}
    if operation.uid and operation.uid != metadata.get("uid"):
        detail = f"Precondition failed: UID in precondition: {operation.uid}, UID in object meta: {metadata.get('uid')}"
        raise _conflict(operation, detail)
    if operation.resource_version and operation.resource_version != metadata.get("resourceVersion"):
        raise _conflict(operation, "")


def _conflict(operation: Operation, detail: str) -> ApiError:
    return conflict(operation.kind.group, operation.kind.plural, operation.name, detail)
