"""Every endpoint of a server, taken from the server itself: whatever is added to it appears here by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Route

from moorage.api.app import MoorageApp
from moorage.api.streams import endpoint as streams
from moorage.resources.kind import Kind
from moorage_gitops.host.app import GitApp
from tests.integration.authorisation.matrix.objects import is_kept, names, root, sample

METHODS = {
    "get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETE",
}  # fmt: skip
LETTERS = {
    "get": "g", "list": "l", "watch": "w", "create": "c", "update": "u", "patch": "p", "delete": "d",
    "deletecollection": "x", "list in all": "L", "watch in all": "W", "create in all": "C", "deletecollection in all": "X",
}  # fmt: skip
"""How the table calls the verbs; capitals are for the collection over all namespaces."""
_COLLECTION = ("list", "watch", "create", "deletecollection")


@dataclass(frozen=True, slots=True)
class Call:
    """One request that can be made. ``there`` and ``absent`` are targets: for the object that is there, and for one that is
    not. ``resource`` is ``pods/log`` or ``deployments.apps``.
    """

    resource: str
    letter: str
    method: str
    there: str
    absent: str
    body: Any = None
    absent_body: Any = None


def resource_calls(kind: Kind) -> Iterator[Call]:
    """Everything that a kind serves."""
    full = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
    there, absent = names(kind)
    collection = f"{root(kind)}/{kind.plural}"
    everywhere = collection.replace("/namespaces/there", "") if kind.namespaced else ""
    for verb in kind.verbs:
        if verb not in _COLLECTION:
            yield _call(full, verb, f"{collection}/{there}", f"{collection}/{absent}")
            continue
        bodies = (sample(kind, there), sample(kind, absent)) if verb == "create" and is_kept(kind) else ({}, {})
        yield _call(full, verb, collection, collection, bodies)
        if everywhere:
            yield _call(full, verb, everywhere, everywhere, bodies, " in all")
    for name, subresource in kind.subresources.items():
        for verb in subresource.verbs:
            yield _call(f"{full}/{name}", verb, f"{collection}/{there}/{name}", f"{collection}/{absent}/{name}")


def _call(
    resource: str, verb: str, there: str, absent: str, bodies: tuple[Any, Any] = ({}, {}), suffix: str = ""
) -> Call:
    method = METHODS[verb]
    query = "?watch=1" if verb == "watch" else "" if method == "GET" else "?dryRun=All"
    # The body of a DELETE would take the place of its query.
    body, absent_body = (None, None) if method in ("GET", "DELETE") else bodies
    return Call(resource, LETTERS[verb + suffix], method, there + query, absent + query, body, absent_body)


def paths(app: MoorageApp) -> list[tuple[str, str]]:
    """(method, path with its parameters in braces) of everything that is no resource, with what is mounted."""
    found = list(_routes(app.routes))
    seen = set()
    for mount in app.service.config.mounts:
        if isinstance(mount.app, GitApp):
            found += [(method, mount.prefix + path) for method, path in mount.app.endpoints]
            continue
        routes = getattr(mount.app, "routes", None)
        assert routes, f"the application at {mount.prefix} does not say what it serves: give it ``routes``"
        if id(mount.app) not in seen:
            seen.add(id(mount.app))
            found += _routes(routes)
    return found


def _routes(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from _routes(included.routes)
            continue
        assert isinstance(route, (APIRoute, Route)), f"{route}: say here how its endpoints are found"
        for method in sorted(set(route.methods or ()) - {"HEAD", "OPTIONS"}):
            yield method, route.path


def sockets(app: MoorageApp) -> list[str]:
    """Paths of WebSockets, the pod and the node called "there"."""
    pods = (f"/api/v1/namespaces/there/pods/there/{name}" for name in streams.SERVED)
    nodes = (f"/apis/moorage.io/v1/nodes/there/{name}" for name in app.node_sockets)
    return [*pods, "/api/v1/namespaces/there/services/there/proxy", *nodes]
