"""Rendering whole documents, and keeping them compressed."""

from __future__ import annotations

import gzip
import hashlib
import weakref
from collections.abc import Iterable
from typing import Any, Final

import orjson

import moorage
from moorage.api.openapi import gnostic
from moorage.api.openapi.paths import Paths
from moorage.api.openapi.schemas import Definitions
from moorage.resources.kind import Kind
from moorage.resources.registry import Registry
from moorage.resources.schemas import VERSION, definition

PROTOBUF: Final = "v2 in protobuf"
_INFO: Final = {"title": "Kubernetes", "version": VERSION}
_BEARER: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "authorization",
    "description": "Bearer Token authentication",
}


class _Kept:
    """What was rendered of one registry. ``generation`` is the registry's at that time."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.documents: dict[str, bytes] = {}
        self.hashes: dict[str, str] = {}


_kept: weakref.WeakKeyDictionary[Registry, _Kept] = weakref.WeakKeyDictionary()


def v3_index(registry: Registry) -> bytes:
    """JSON of ``/openapi/v3``."""
    paths = {
        path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={v3_hash(registry, path)}"}
        for path in sorted({_path(kind) for kind in registry})
    }
    return orjson.dumps({"paths": paths}, option=orjson.OPT_APPEND_NEWLINE)


def v3_hash(registry: Registry, path: str) -> str:
    """A hash of what the document at ``path`` is rendered from; "" where nothing is served there."""
    kinds = _kinds(registry, path)
    return _hash(registry, path, kinds) if kinds else ""


def v2_hash(registry: Registry) -> str:
    """The same for ``/openapi/v2``."""
    return _hash(registry, "v2", list(registry))


def v3(registry: Registry, path: str, gzipped: bool = False) -> bytes | None:
    """JSON of ``/openapi/v3/PATH``; None where no kind is served there."""
    path = path.strip("/")
    kinds = _kinds(registry, path)
    return _document(registry, path, kinds, 3, gzipped) if kinds else None


def v2(registry: Registry, gzipped: bool = False, protobuf: bool = False) -> bytes:
    """JSON of ``/openapi/v2``, or the same in protobuf (``gnostic``)."""
    if not protobuf:
        return _document(registry, "v2", list(registry), 2, gzipped)
    documents = _of(registry).documents
    if PROTOBUF not in documents:
        documents[PROTOBUF] = _compressed(gnostic.document(_render(list(registry), 2)))
    return documents[PROTOBUF] if gzipped else gzip.decompress(documents[PROTOBUF])


def _path(kind: Kind) -> str:
    return f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"


def _kinds(registry: Registry, path: str) -> list[Kind]:
    return [kind for kind in registry if _path(kind) == path]


def _of(registry: Registry) -> _Kept:
    kept = _kept.get(registry)
    if kept is None or kept.generation != registry.generation:
        kept = _kept[registry] = _Kept(registry.generation)
    return kept


def _hash(registry: Registry, name: str, kinds: Iterable[Kind]) -> str:
    hashes = _of(registry).hashes
    if name not in hashes:
        digest = hashlib.sha512(f"{moorage.__version__} {VERSION} {name}".encode())
        for kind in sorted(kinds, key=lambda each: each.gvk):
            parts = [*kind.gvk, kind.plural, kind.schema, str(kind.namespaced), *kind.verbs]
            parts += [f"{key} {each.kind} {each.verbs}" for key, each in sorted(kind.subresources.items())]
            digest.update("\n".join(parts).encode())
            if not kind.schema.startswith("io.k8s."):  # published definitions change with VERSION only
                digest.update(orjson.dumps(dict(definition(kind.schema)), option=orjson.OPT_SORT_KEYS))
        hashes[name] = digest.hexdigest().upper()
    return hashes[name]


def _document(registry: Registry, name: str, kinds: list[Kind], version: int, gzipped: bool) -> bytes:
    documents = _of(registry).documents
    if name not in documents:
        rendered = orjson.dumps(_render(kinds, version), option=orjson.OPT_APPEND_NEWLINE)
        documents[name] = _compressed(rendered)
    data = documents[name]
    return data if gzipped else gzip.decompress(data)


def _compressed(rendered: bytes) -> bytes:
    return gzip.compress(rendered, compresslevel=6, mtime=0)


def _render(kinds: list[Kind], version: int) -> dict[str, Any]:
    definitions = Definitions()
    paths = Paths(definitions, version)
    rendered = {path: item for kind in kinds for path, item in paths.of_kind(kind)}
    schemas = definitions.render(paths.roots, version)
    if version == 3:
        return {
            "openapi": "3.0.0",
            "info": _INFO,
            "paths": rendered,
            "components": {"schemas": schemas, "securitySchemes": {"BearerToken": _BEARER}},
            "security": [{"BearerToken": []}],
        }
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": rendered,
        "definitions": schemas,
        "securityDefinitions": {"BearerToken": _BEARER},
        "security": [{"BearerToken": []}],
    }
