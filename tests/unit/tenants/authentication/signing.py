"""A cluster that signs tokens of ServiceAccounts, in memory: objects, keys, a clock."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from joserfc import jwt as jose
from joserfc.jwk import RSAKey

from moorage.resources.kind import ResourceKey
from moorage.store.contracts import Cache, Store
from moorage.store.signing_keys import SigningKey as KeyRow
from moorage_tenants.authentication.accounts.claims import Bound, Ref
from moorage_tenants.authentication.accounts.keys import SigningKeys
from moorage_tenants.authentication.accounts.tokens import AccountTokens
from moorage_tenants.authentication.chain import Authentication
from tests.unit.tenants.caches import MemoryCache

ISSUER = "https://cluster.example.test"
NOW = 1_800_000_000.0
SECRET = bytes(range(32))
LONGEST = 3600.0


class Nobody:
    """No stored tokens."""

    async def identify(self, sha256: str) -> None:
        return None


class Clock:
    """Stands still until somebody moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class KeyTable:
    """The rows of signing keys; ``clock`` stamps them."""

    clock: Clock
    rows: list[KeyRow] = field(default_factory=list)

    async def keys(self, purpose: str) -> Sequence[KeyRow]:
        return [row for row in reversed(self.rows) if row.purpose == purpose]

    async def add(self, key: KeyRow) -> None:
        self.rows.append(replace(key, created_at=self.clock()))

    async def add_first(self, key: KeyRow) -> Sequence[KeyRow]:
        if not await self.keys(key.purpose):
            await self.add(key)
        return await self.keys(key.purpose)

    async def retire(self, purpose: str, key_id: str) -> bool:
        self.rows = [replace(row, retired_at=self.clock()) if row.key_id == key_id else row for row in self.rows]
        return True

    async def remove(self, purpose: str, key_id: str) -> bool:
        self.rows = [row for row in self.rows if row.key_id != key_id]
        return True


class Objects:
    """The store as far as tokens need it. What is in ``late`` comes into the caches when somebody insists on fresh ones."""

    def __init__(self) -> None:
        self.caches: dict[ResourceKey, MemoryCache] = {}
        self.late: list[tuple[str, str, str, dict[str, Any]]] = []

    def of(self, plural: str) -> MemoryCache:
        """The cache of a kind of the core group."""
        return self.caches.setdefault(ResourceKey("", plural), MemoryCache(plural))

    async def cache(self, resource: ResourceKey) -> Cache:
        return cast("Cache", self.of(resource.resource))

    async def latest(self) -> int:
        for plural, namespace, name, document in self.late:
            self.of(plural).put(namespace, name, **document)
        self.late = []
        return 0


@dataclass
class Cluster:
    """One API server's view of all this."""

    clock: Clock
    table: KeyTable
    objects: Objects
    keys: SigningKeys
    tokens: AccountTokens
    door: Authentication

    async def forged(
        self, claims: dict[str, Any], header: dict[str, Any] | None = None, key: RSAKey | None = None
    ) -> str:
        """A token that says ``claims``, signed by the cluster's key or by another."""
        signer = await self.keys.signer()
        return jose.encode({"alg": "RS256", "kid": signer.key_id, **(header or {})}, claims, key or signer.private)


def server(clock: Clock, table: KeyTable, objects: Objects, secret: bytes = SECRET) -> Cluster:
    """A server on this state."""

    async def opened() -> bytes:
        return secret

    keys = SigningKeys(table, opened, longest=LONGEST, rotation=10 * LONGEST, clock=clock)
    tokens = AccountTokens(cast("Store", objects), keys, ISSUER, (ISSUER,), clock=clock)
    door = Authentication(stored=Nobody(), signed=[tokens], audiences=(ISSUER,), clock=clock)
    return Cluster(clock, table, objects, keys, tokens, door)


def cluster() -> Cluster:
    """A server on fresh state, with the account ``robot`` in ``town`` and what its tokens may be bound to."""
    made = server(clock := Clock(), KeyTable(clock), Objects())
    for plural, namespace, name in (
        ("serviceaccounts", "town", "robot"),
        ("pods", "town", "walker"),
        ("secrets", "town", "note"),
        ("nodes", "", "ground"),
    ):
        made.objects.of(plural).put(namespace, name)
    return made


def bound(pod: Ref | None = None, secret: Ref | None = None, node: Ref | None = None) -> Bound:
    """The account, bound to these objects. The uid of an object in memory is its name."""
    return Bound("town", Ref("robot", "robot"), pod, secret, node)


def claims_of(token: str) -> dict[str, Any]:
    """What a token says."""
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def encoded(value: object) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
