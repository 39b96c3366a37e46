"""Small documents, a sealer with a fixed key, and stores for tests."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moorage.resources.kind import ResourceKey
from moorage.store import PostgresStore, StoreSettings, open_store
from moorage.store.contracts import Change, Charge, Encoded, Entry, Key, KeyStore, Op, Origin, SealContext, Write

PODS = ResourceKey("", "pods")
CONFIGMAPS = ResourceKey("", "configmaps")
SECRETS = ResourceKey("", "secrets")
ORIGIN = Origin(actor="tester", request_id="r-1", field_manager="test", source_commit="abc")

QUICK = StoreSettings(poll=0.2, upkeep_every=0.2, compact_every=3600.0, commit_deadline=20.0, attempt_timeout=5.0)


class FixedSealer:
    """AES-GCM with one key made from the cluster's uid: real enough to see what is stored in the clear."""

    def __init__(self, _keys: KeyStore, cluster: str) -> None:
        self._cipher = AESGCM(hashlib.sha256(cluster.encode()).digest())

    async def seal(self, plaintext: bytes, context: SealContext) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, plaintext, repr(context).encode())

    async def unseal(self, sealed: bytes, context: SealContext) -> bytes:
        return self._cipher.decrypt(sealed[:12], sealed[12:], repr(context).encode())


@asynccontextmanager
async def store(
    url: str, name: str = "one", settings: StoreSettings = QUICK, **changes: Any
) -> AsyncIterator[PostgresStore]:
    """An open store."""
    async with open_store(url, sealer=FixedSealer, server_name=name, settings=replace(settings, **changes)) as opened:
        yield opened


def encode(document: Mapping[str, Any]) -> Encoded:
    """As the API does: once, with an empty resourceVersion at a known place."""
    document = {**document, "metadata": {"resourceVersion": "", **document["metadata"]}}
    body = orjson.dumps(document)
    return Encoded(body, body.index(b'"resourceVersion":""') + len(b'"resourceVersion":"'))


def key(name: str, namespace: str = "ns", resource: ResourceKey = PODS) -> Key:
    return Key(*resource, namespace, name)


def document(of: Key, uid: str, **content: Any) -> Encoded:
    """A small object with ``content`` beside its metadata; ``labels`` go into the metadata."""
    metadata: dict[str, Any] = {"name": of.name, "namespace": of.namespace, "uid": uid}
    if labels := content.pop("labels", None):
        metadata["labels"] = labels
    return encode({"apiVersion": "v1", "kind": "Thing", "metadata": metadata, **content})


def create(
    of: Key,
    *,
    uid: str = "",
    sealed: bool = False,
    expires_in: int | None = None,
    tenant: str | None = None,
    charge: Charge | None = None,
    **content: Any,
) -> Write:
    uid = uid or str(uuid.uuid4())
    return Write(
        Op.CREATE,
        of,
        uid,
        document(of, uid, **content),
        sealed=sealed,
        expires_in=expires_in,
        tenant=tenant,
        charge=charge or {},
    )


def update(
    of: Key,
    uid: str,
    *,
    expect: int | None = None,
    sealed: bool = False,
    tenant: str | None = None,
    charge: Charge | None = None,
    **content: Any,
) -> Write:
    return Write(
        Op.UPDATE,
        of,
        uid,
        document(of, uid, **content),
        expect_revision=expect,
        sealed=sealed,
        tenant=tenant,
        charge=charge or {},
    )


def delete(of: Key, *, expect: int | None = None, expect_uid: str | None = None) -> Write:
    return Write(Op.DELETE, of, "", None, expect_revision=expect, expect_uid=expect_uid)


def names(entries: Sequence[Entry]) -> list[str]:
    return [entry.key.name for entry in entries]


def seen(change: Change) -> tuple[int, str, str]:
    """What a watcher learns, in short."""
    return change.revision, change.type.value, change.entry.key.name
