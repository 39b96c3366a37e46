"""Which function serves which verb on which subresource."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moorage.api.contracts import Decision
from moorage.api.errors import ApiError, forbidden, no_such_path
from moorage.api.filtering import Filter
from moorage.api.options import ListOptions, flag
from moorage.api.proxying import endpoint as proxying
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.transactions import endpoint
from moorage.api.verbs import (
    components,
    connecting,
    deleting,
    finalizing,
    podverbs,
    reading,
    reviews,
    scaling,
    usage,
    watching,
    writing,
)
from moorage.resources.kind import Kind

CollectionVerb = Callable[[Service, Request, ListOptions, Filter], Awaitable[None]]
ObjectVerb = Callable[[Service, Request], Awaitable[None]]

COLLECTION: dict[str, CollectionVerb] = {
    "list": reading.list_objects,
    "watch": watching.watch,
    "deletecollection": deleting.delete_collection,
}

OBJECT: dict[tuple[str, str], ObjectVerb] = {
    ("", "get"): reading.get,
    ("", "update"): writing.update,
    ("", "patch"): writing.patch_object,
    ("", "delete"): deleting.delete,
    ("status", "get"): reading.get,
    ("status", "update"): writing.update,
    ("status", "patch"): writing.patch_object,
    ("approval", "get"): reading.get,
    ("approval", "update"): writing.update,
    ("approval", "patch"): writing.patch_object,
    ("scale", "get"): scaling.get,
    ("scale", "update"): scaling.update,
    ("scale", "patch"): scaling.patch_scale,
    ("finalize", "update"): finalizing.finalize,
    ("binding", "create"): podverbs.bind,
    ("eviction", "create"): podverbs.evict,
    ("log", "get"): podverbs.log,
    ("ephemeralcontainers", "get"): reading.get,
    ("ephemeralcontainers", "update"): writing.update,
    ("ephemeralcontainers", "patch"): writing.patch_object,
    ("resize", "get"): reading.get,
    ("resize", "update"): writing.update,
    ("resize", "patch"): writing.patch_object,
    ("exec", "create"): connecting.connect,
    ("exec", "get"): connecting.connect,
    ("attach", "create"): connecting.connect,
    ("attach", "get"): connecting.connect,
    ("portforward", "create"): connecting.connect,
    ("portforward", "get"): connecting.connect,
    **{("proxy", verb): proxying.proxy for verb in ("get", "create", "update", "patch", "delete", "")},
}
"""By (subresource, verb)."""

OWN: dict[tuple[str, str], ObjectVerb] = {
    ("moorage.io", "transactions"): endpoint.transaction,
    ("moorage.io", "batches"): endpoint.batch,
    ("authentication.k8s.io", "selfsubjectreviews"): reviews.whoami,
    ("authorization.k8s.io", "localsubjectaccessreviews"): reviews.access,
    ("authorization.k8s.io", "selfsubjectaccessreviews"): reviews.self_access,
    ("authorization.k8s.io", "selfsubjectrulesreviews"): reviews.rules,
    ("authorization.k8s.io", "subjectaccessreviews"): reviews.access,
}
"""Kinds that are carried out instead of kept, by (group, plural)."""

COMPUTED: dict[tuple[str, str], tuple[CollectionVerb, ObjectVerb]] = {
    ("", "componentstatuses"): (components.list_components, components.get_component),
    ("metrics.k8s.io", "nodes"): (usage.list_usage, usage.get_usage),
    ("metrics.k8s.io", "pods"): (usage.list_usage, usage.get_usage),
}
"""Kinds whose objects are found out when somebody asks, by (group, plural): what lists, and what gets one."""


def collection(kind: Kind, verb: str) -> CollectionVerb | None:
    """What serves a verb on a collection."""
    computed = COMPUTED.get((kind.group, kind.plural))
    if computed is not None:
        return computed[0] if verb == "list" else None
    return COLLECTION.get(verb)


async def serve(service: Service, request: Request, refused: Decision | None) -> None:
    """Serve a request for one object, or a create. Raises ApiError 404 and 405 for what is not served."""
    kind = request.kind
    served = service.config.handlers.get((kind.group, kind.plural, request.subresource, request.verb))
    if served is not None and bool(request.name) == bool(request.subresource):
        if refused is not None:
            raise forbidden(kind.group, kind.plural, request.name, refused.reason)
        await served(service, request)
        return
    own = OWN.get((kind.group, kind.plural))
    if own is not None and request.verb == "create" and not request.name:
        if refused is not None:
            raise forbidden(kind.group, kind.plural, "", refused.reason)
        if kind.namespaced and not request.namespace:
            raise not_allowed()
        await own(service, request)
        return
    if request.verb == "create" and not request.subresource:
        if request.name or "create" not in kind.verbs or (kind.namespaced and not request.namespace):
            raise not_allowed() if refused is None else forbidden(kind.group, kind.plural, request.name, refused.reason)
        await writing.create(service, request, refused)
        return
    handler = OBJECT.get((request.subresource, request.verb))
    computed = COMPUTED.get((kind.group, kind.plural))
    if computed is not None:
        handler = computed[1] if request.verb == "get" else None
    if handler is None:
        raise not_allowed()
    verbs = kind.subresources[request.subresource].verbs if request.subresource else kind.verbs
    if request.verb and request.verb not in verbs:
        raise not_allowed()
    if not request.name:
        raise no_such_path()
    await handler(service, request)


def follows(request: Request) -> bool:
    """Whether a log is followed: it may take as long as it likes."""
    return bool(flag(request.query, "follow"))


def not_allowed() -> ApiError:
    """405 with Kubernetes' text."""
    return ApiError(405, "the server does not allow this method on the requested resource")
