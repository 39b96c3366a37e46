"""get and list: bytes from the caches, no older than the request."""

from __future__ import annotations

from moorage.api.answers import send_object, send_page
from moorage.api.errors import not_found
from moorage.api.filtering import Filter
from moorage.api.freshness import not_older
from moorage.api.listing import page
from moorage.api.options import ListOptions, resource_version
from moorage.api.request import Request
from moorage.api.service import Service


async def get(service: Service, request: Request) -> None:
    """GET of one object."""
    kind = request.kind
    revision = resource_version(request.query.get("resourceVersion", "")) if request.query else -1
    cache = await not_older(service.store, kind.storage, revision)
    entry = cache.get(request.namespace, request.name)
    if entry is None:
        raise not_found(kind.group, kind.plural, request.name)
    await send_object(request, kind, entry.data)


async def list_objects(service: Service, request: Request, options: ListOptions, only: Filter) -> None:
    """GET of a collection."""
    namespace = request.namespace or None if request.kind.namespaced else None
    found = await page(service.store, request.kind.storage, namespace, options, only)
    await send_page(request, request.kind, found)
