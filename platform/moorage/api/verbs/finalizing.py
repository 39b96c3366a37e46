"""``/finalize`` of namespaces: the one way in which a namespace's own finalizers go.

The last of them goes only when the namespace is empty, as this server knows it after asking PostgreSQL. So a create that met the
deletion half-way is swept by the namespace controller and never left behind in a namespace that is gone.
"""

from __future__ import annotations

from moorage.api.errors import conflict, qualified
from moorage.api.freshness import fresh
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.verbs import writing
from moorage.api.writing import namespaces
from moorage.resources.kind import Document


async def finalize(service: Service, request: Request) -> None:
    """PUT of ``/finalize``. Raises ApiError 409 while something is in the namespace."""
    await writing.update_with(service, request, check=lambda document: _check(service, request.name, document))


async def _check(service: Service, name: str, document: Document) -> None:
    if namespaces.held(document):
        return
    left = await _contents(service, name)
    if left:
        detail = f"the namespace still holds {', '.join(left)}; they go first"
        raise conflict("", "namespaces", name, detail)


async def _contents(service: Service, namespace: str) -> list[str]:
    """What is left in the namespace, as ``3 pods``."""
    left, seen = [], set()
    for kind in service.registry:
        if not kind.namespaced or not {"list", "delete"} <= set(kind.verbs) or kind.storage in seen:
            continue
        seen.add(kind.storage)
        count = len((await fresh(service.store, kind.storage)).entries(namespace))
        if count:
            left.append(f"{count} {qualified(kind.group, kind.plural)}")
    return left
