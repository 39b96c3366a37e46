"""From a request for a pod to a stream of its node."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from moorage.api.errors import not_found
from moorage.api.freshness import fresh
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.streams import asking
from moorage.client.tunnel import Stream
from moorage.resources.kind import Document


async def find_pod(service: Service, request: Request) -> Document:
    """The pod that a request names. Raises ApiError 404."""
    cache = await fresh(service.store, request.kind.storage)
    entry = cache.get(request.namespace, request.name)
    if entry is None:
        raise not_found(request.kind.group, request.kind.plural, request.name)
    return entry.document()


def open_stream(service: Service, pod: Document, asked: dict[str, Any]) -> AbstractAsyncContextManager[Stream]:
    """A stream of the pod's node. Raises ApiError 503 where it has no tunnel; the stream raises TunnelError for refusals."""
    opened = service.config.tunnels.open(pod["spec"]["nodeName"], asked)
    return cast(AbstractAsyncContextManager[Stream], opened)  # the contract promises no more than what logs need


def open_port(service: Service, pod: Document, port: int) -> AbstractAsyncContextManager[Stream]:
    """A connection to a port of a pod, in ``moorage.client.channels``' messages."""
    return open_stream(service, pod, {**asking.base("portforward", pod), "port": port})


async def check(service: Service, pod: Document, asked: dict[str, Any]) -> None:
    """Have the node say whether it could serve this. Raises TunnelError, ApiError."""
    async with open_stream(service, pod, {**asked, "check": True}) as stream:
        async for _ in stream:
            continue
