"""Which kinds a server serves, read from its discovery documents (``/api/v1`` and ``/apis/GROUP/VERSION``)."""

from __future__ import annotations

from typing import NamedTuple

from moorage.client.api import ApiClient
from moorage.client.resource import Resource


class Served(NamedTuple):
    """A served kind and its verbs."""

    resource: Resource
    verbs: frozenset[str]


async def served(client: ApiClient) -> list[Served]:
    """Every kind at its group's preferred version, without subresources. Raises ClientErrors: a partly read answer is none,
    because callers delete what they do not find.
    """
    groups = (await client.request("GET", "/apis")).json()
    versions = [("", "v1", "/api/v1")]
    for group in groups.get("groups") or ():
        version = (group.get("preferredVersion") or group["versions"][0])["version"]
        versions.append((group["name"], version, f"/apis/{group['name']}/{version}"))
    found = []
    for group, version, path in versions:
        document = (await client.request("GET", path)).json()
        for entry in document.get("resources") or ():
            if "/" not in entry["name"]:
                resource = Resource(group, version, entry["name"], entry["kind"], bool(entry.get("namespaced")))
                found.append(Served(resource, frozenset(entry.get("verbs") or ())))
    return found
