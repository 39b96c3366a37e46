"""The envelope of a protobuf body: four magic bytes and a ``runtime.Unknown`` that names the kind.

Source: apimachinery, ``pkg/runtime/serializer/protobuf``.
"""

from __future__ import annotations

from typing import Any

from moorage.api.protobuf import wire
from moorage.api.protobuf.messages import META, message, table

MAGIC = b"k8s\x00"
META_KINDS = {"DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "ListOptions", "GetOptions", "Status"}


def decode(body: bytes) -> dict[str, Any]:
    """The document in a protobuf body, with apiVersion and kind. Raises ValueError for what is none, or of a kind we
    have no table for.
    """
    if not body.startswith(MAGIC):
        raise ValueError("proto: the body does not start with the magic bytes of Kubernetes' protobuf encoding")
    envelope = dict(wire.fields(body[len(MAGIC) :]))
    types = dict(wire.fields(_bytes(envelope.get(1, b""))))
    api_version, kind = _bytes(types.get(1, b"")).decode("utf-8"), _bytes(types.get(2, b"")).decode("utf-8")
    definition = _definition(api_version, kind)
    if definition not in table():
        raise ValueError(f'proto: kind "{kind}" of "{api_version}" is not known in protobuf; send application/json')
    return {"apiVersion": api_version, "kind": kind, **message(definition, _bytes(envelope.get(2, b"")))}


def _definition(api_version: str, kind: str) -> str:
    if kind in META_KINDS:
        return META + kind
    group, _, version = api_version.rpartition("/")
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.{kind}"


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise wire.Truncated
    return value
