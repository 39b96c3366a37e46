"""How rows of the audit are hashed: the same in SQL (migration v0002, "audit") and here; a test compares the two."""

from __future__ import annotations

import hashlib
import json

_NONE = bytes(32)
_json = json.JSONEncoder(ensure_ascii=False).encode
"""Made once: ``json.dumps`` makes an encoder for each call."""


def row_digest(*fields: str | bool | int) -> bytes:
    """Digest of a row's own fields: request id, actor, verb, group, resource, subresource, namespace, name, source commit,
    allowed, code, and the text of its details. JSON as PostgreSQL's ``json_build_array`` writes it.
    """
    return hashlib.sha256(_json(fields).encode()).digest()


def stamp(micros: int, server: str) -> bytes:
    """When and where: microseconds since the epoch, and the server."""
    return micros.to_bytes(8, "big", signed=True) + hashlib.sha256(server.encode()).digest()


def chained(
    before: bytes,
    row: bytes,
    seq: int,
    stamped: bytes,
    revision: int = 0,
    old_digest: bytes | None = None,
    new_digest: bytes | None = None,
) -> bytes:
    """The hash of a row that comes after the hash ``before``."""
    numbers = seq.to_bytes(8, "big", signed=True) + stamped + revision.to_bytes(8, "big", signed=True)
    return hashlib.sha256(before + row + numbers + (old_digest or _NONE) + (new_digest or _NONE)).digest()


def first(cluster: str, chain: str) -> bytes:
    """What stands before the first row of a chain."""
    return hashlib.sha256(f"moorage audit {chain} {cluster}".encode()).digest()
