"""``componentstatuses``: the parts of the control plane behind the API server, and whether they are well.

Source: pkg/registry/core/componentstatus, whose names are kept: tools look for them. Controllers and scheduler are one process,
which holds a lease; the store's name says "etcd", as it stands in etcd's place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from moorage.api.answers import send_value, send_values
from moorage.api.errors import ApiError, not_found
from moorage.api.filtering import Filter
from moorage.api.freshness import fresh
from moorage.api.options import ListOptions
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.client.objects import seconds_of
from moorage.resources.kind import Document, ResourceKey
from moorage.store.contracts import Unavailable

LEASES = ResourceKey("coordination.k8s.io", "leases")
WORKERS = ("kube-system", "moorage-controllers")
"""The lease of the process in which controllers and scheduler run."""
PATIENCE = 2.0
"""Seconds that the store has to answer."""


async def _workers(service: Service) -> str:
    """What is wrong with controllers and scheduler, "" for nothing."""
    entry = (await fresh(service.store, LEASES)).get(*WORKERS)
    spec = (entry.document().get("spec") or {}) if entry is not None else {}
    renewed = seconds_of(spec.get("renewTime"))
    if renewed is None or not spec.get("holderIdentity"):
        return "nobody holds their lease: they do not run"
    silent = time.time() - renewed
    return "" if silent <= spec.get("leaseDurationSeconds", 0) else f"they were last heard of {silent:.0f} s ago"


async def _store(service: Service) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await service.store.latest()
    except (TimeoutError, Unavailable) as error:
        return f"PostgreSQL does not answer: {error}"
    return ""


_CHECKS: Mapping[str, Callable[[Service], Awaitable[str]]] = {
    "controller-manager": _workers,
    "etcd-0": _store,
    "scheduler": _workers,
}


async def list_components(service: Service, request: Request, options: ListOptions, only: Filter) -> None:
    """GET of the collection. Selectors by name hold; labels there are none."""
    del options
    wanted = [name for name in _CHECKS if not only.name or only.name == name]
    await send_values(request, request.kind, [await _component(service, name) for name in wanted])


async def get_component(service: Service, request: Request) -> None:
    """GET of one. Raises ApiError 404."""
    if request.name not in _CHECKS:
        raise not_found("", request.kind.plural, request.name)
    await send_value(request, await _component(service, request.name))


async def _component(service: Service, name: str) -> Document:
    try:
        wrong = await _CHECKS[name](service)
    except ApiError as error:
        wrong = str(error)
    condition = {"type": "Healthy", "status": "False" if wrong else "True"}
    told = {"error": wrong} if wrong else {"message": "ok"}
    return {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "conditions": [{**condition, **told}],
    }
