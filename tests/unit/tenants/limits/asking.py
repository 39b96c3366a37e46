"""Admission requests on a world of plain documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from moorage.api.contracts import Admission, AdmissionRequest, Identity
from moorage.api.writing.views import Staged
from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import Document, GroupVersionKind, Kind
from moorage.store.contracts import Entry, Key

_REGISTRY = builtin_registry()
SOMEBODY = Identity("ann", frozenset({"system:authenticated"}))


def kind(name: str, group: str = "") -> Kind:
    """The built-in kind of this name."""
    found = _REGISTRY.by_kind(GroupVersionKind(group, "v1", name))
    assert found is not None
    return found


class World:
    """A view (``moorage.api.contracts.View``) of the documents that it was given; each is defaulted as its kind is."""

    def __init__(self, *documents: Document) -> None:
        self._entries: dict[Key, Entry] = {}
        for document in documents:
            self.put(document)

    def put(self, document: Document) -> None:
        """Add or replace an object."""
        group, _, version = str(document["apiVersion"]).rpartition("/")
        of = _REGISTRY.by_kind(GroupVersionKind(group, version, document["kind"]))
        assert of is not None
        of.default(document)
        metadata = document["metadata"]
        key = Key(*of.storage, metadata.get("namespace", ""), metadata["name"])
        self._entries[key] = Staged(key, "uid", 1, orjson.dumps(document))

    async def get(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        return self._entries.get(Key(*kind.storage, namespace, name))

    async def entries(self, kind: Kind, namespace: str | None) -> Sequence[Entry]:
        found = [each for key, each in self._entries.items() if key.resource_key == kind.storage]
        return sorted((each for each in found if namespace in (None, each.key.namespace)), key=lambda each: each.key)


def asked(
    world: World,
    of: Kind,
    document: Document | None,
    old: Document | None = None,
    *,
    operation: str = "",
    subresource: str = "",
) -> AdmissionRequest:
    """A request by somebody."""
    shown = document or old or {}
    metadata: dict[str, Any] = shown.get("metadata", {})
    verb = operation or ("UPDATE" if old is not None else "CREATE")
    namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
    return AdmissionRequest(SOMEBODY, verb, of, subresource, namespace, name, document, old, False, world)


async def admitted(admission: Admission, request: AdmissionRequest) -> list[str]:
    """Let ``admission`` change and judge the request: what it refuses it for."""
    await admission.mutate(request)
    if request.document is not None:
        request.kind.default(request.document)
    return [str(each) if each.path else each.message for each in await admission.validate(request)]


def pod(**spec: Any) -> Document:
    """A pod of one container ``c``."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec},
    }


def containers(*resources: tuple[dict[str, str], dict[str, str]]) -> list[Document]:
    """Containers ``c0``, ``c1`` ... with these requests and limits."""
    return [
        {"name": f"c{index}", "image": "nginx", "resources": {"requests": requests, "limits": limits}}
        for index, (requests, limits) in enumerate(resources)
    ]
