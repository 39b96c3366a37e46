"""Documents to bytes.

* ``encode(document)`` -> ``Encoded``: serialised once, ``metadata.resourceVersion`` empty at a recorded offset.
* ``dumps(value, pretty=False)`` -> JSON bytes with a newline; ``yaml_bytes(value)`` for ``application/yaml``.
* ``list_header(kind, revision, ...)`` and ``LIST_TAIL``: what stands around the joined bytes of a list's objects.
* ``watch_line(type, object_bytes)``, ``bookmark_line(...)``, ``error_line(status)``: lines of a watch.
* ``partial(document, version)``, ``partial_list(documents, ...)``: ``PartialObjectMetadata(List)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson
import yaml

from moorage.resources.kind import Document, Kind
from moorage.store.contracts import Encoded


def encode(document: Document) -> Encoded:
    """Serialise ``document`` for the store. Its metadata.resourceVersion is left out whatever it is; the document stays as it is.

    apiVersion, kind and metadata come first and the empty resourceVersion is metadata's first member, so the offset
    follows from what was written, not from a search that a user's text could mislead.
    """
    api_version, kind = document["apiVersion"], document["kind"]
    metadata = {"resourceVersion": "", **document["metadata"]}
    metadata["resourceVersion"] = ""
    ordered = {"apiVersion": api_version, "kind": kind, "metadata": None, **document}
    ordered["metadata"] = metadata
    return Encoded(orjson.dumps(ordered), _offset(api_version, kind))


@lru_cache(4096)
def _offset(api_version: str, kind: str) -> int:
    head = orjson.dumps({"apiVersion": api_version, "kind": kind})
    return len(head[:-1] + b',"metadata":{"resourceVersion":"')


def dumps(value: Any, pretty: bool = False) -> bytes:
    """JSON with a final newline; two spaces of indentation where ``pretty``."""
    option = orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if pretty else 0)
    return orjson.dumps(value, option=option)


def yaml_bytes(value: Any) -> bytes:
    """YAML with sorted keys, as kube-apiserver writes it; strings that would read as something else are quoted."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=True, width=1 << 30
    )
    return text.encode()


class _Dumper(yaml.CSafeDumper):
    """Writes no anchors: a value that occurs twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# YAML 1.1 readers take these for booleans, but the writer's own resolver does not, and would leave them unquoted.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:y|Y|n|N)$"), list("yYnN"))


def list_header(
    kind: Kind,
    revision: int | str,
    token: str = "",
    remaining: int | None = None,
    list_kind: str = "",
) -> bytes:
    """The beginning of a list up to the opening of its items; ``list_tail`` ends it."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if token:
        metadata["continue"] = token
        if remaining is not None:
            metadata["remainingItemCount"] = remaining
    head = {"kind": list_kind or kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata}
    return orjson.dumps(head)[:-1] + b',"items":['


LIST_TAIL: Final = b"]}\n"


def watch_line(type_: str, object_bytes: bytes) -> bytes:
    """One line of a watch: ``{"type":"ADDED","object":{...}}``."""
    return b'{"type":"%b","object":%b}\n' % (type_.encode("ascii"), object_bytes.rstrip(b"\n"))


def bookmark_line(api_version: str, kind: str, revision: int | str, initial_events_end: bool = False) -> bytes:
    """A BOOKMARK: nothing but the revision that the watcher has reached.

    ``initial_events_end`` marks the end of the initial events of a streaming list (KEP-3157).
    """
    metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return watch_line("BOOKMARK", orjson.dumps({"kind": kind, "apiVersion": api_version, "metadata": metadata}))


def error_line(status: Mapping[str, Any]) -> bytes:
    """An ERROR event with a Status, the last line of a watch that cannot go on."""
    return watch_line("ERROR", orjson.dumps(dict(status)))


def partial(document: Document, version: str = "v1") -> Document:
    """The object's metadata alone, as ``PartialObjectMetadata``."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": document.get("metadata") or {},
    }


def partial_list(
    documents: Iterable[Document],
    revision: int | str,
    token: str = "",
    remaining: int | None = None,
    version: str = "v1",
) -> Document:
    """A ``PartialObjectMetadataList``; its items carry their kind, as kube-apiserver's do."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if token:
        metadata["continue"] = token
        if remaining is not None:
            metadata["remainingItemCount"] = remaining
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "items": [partial(document, version) for document in documents],
    }
