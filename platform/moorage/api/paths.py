"""Which resource a path names. Split by hand: this runs for every request.

Source: Kubernetes' ``RequestInfoFactory`` (apiserver/pkg/endpoints/request/requestinfo.go).
"""

from __future__ import annotations

from typing import NamedTuple

NAMESPACE_SUBRESOURCES = frozenset(("status", "finalize"))
PROXY = "proxy"
"""The subresource of pods, services and nodes below which every path is that of the other end."""


class Path(NamedTuple):
    """What a resource path says. ``namespace`` is "" for cluster scope and for all namespaces; ``namespaced`` tells
    whether the path had one.

    ``watch`` is set for the old ``/watch/`` prefix, which Kubernetes still serves. ``rest`` is what follows ``/proxy``, with its
    slashes: the path that is asked for at a pod.
    """

    group: str
    version: str
    resource: str
    namespaced: bool
    namespace: str
    name: str
    subresource: str
    watch: bool
    rest: str = ""


def parse(path: str) -> Path | None:
    """The resource that ``path`` names; None for every other path (discovery, health, ...)."""
    parts = path.split("/")
    if parts[-1] == "":
        parts.pop()
    count = len(parts)
    if count < 4:
        return None
    if parts[1] == "api":
        group, version, at = "", parts[2], 3
    elif parts[1] == "apis" and count > 4:
        group, version, at = parts[2], parts[3], 4
    else:
        return None
    watch = parts[at] == "watch" and count > at + 1
    if watch:
        at += 1
    end = {"namespaces": at + 5, "nodes": at + 3}.get(parts[at], count + 1)
    if count >= end and parts[end - 1] == PROXY and not group:
        found = _resource(group, version, parts[at:end], watch)
        return None if found is None else found._replace(rest=path[len("/".join(parts[:end])) :])
    return _resource(group, version, parts[at:], watch)


def _resource(group: str, version: str, rest: list[str], watch: bool) -> Path | None:
    if "" in rest:
        return None
    count = len(rest)
    if count > 2 and rest[0] == "namespaces" and not (group == "" and rest[2] in NAMESPACE_SUBRESOURCES and count == 3):
        if count > 5:
            return None
        name = rest[3] if count > 3 else ""
        return Path(group, version, rest[2], True, rest[1], name, rest[4] if count > 4 else "", watch)
    if count > 3:
        return None
    return Path(group, version, rest[0], False, "", rest[1] if count > 1 else "", rest[2] if count > 2 else "", watch)
