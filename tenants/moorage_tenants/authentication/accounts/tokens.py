"""Makes ServiceAccount tokens and verifies them: signature, time, audience, and that everything they are bound to is there."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from joserfc import jwt as jose

from moorage.api.freshness import fresh
from moorage.resources.kind import ResourceKey
from moorage.store.contracts import Cache, Store
from moorage_tenants.authentication import jwt
from moorage_tenants.authentication.accounts import claims as accounts
from moorage_tenants.authentication.accounts.claims import LEGACY_ID, LEGACY_ISSUER, PRIVATE, Bound, Ref
from moorage_tenants.authentication.accounts.keys import ALGORITHM, SigningKeys
from moorage_tenants.authentication.verified import Verified

ACCOUNTS, PODS = ResourceKey("", "serviceaccounts"), ResourceKey("", "pods")
SECRETS, NODES = ResourceKey("", "secrets"), ResourceKey("", "nodes")
SKEW = 10.0
"""Seconds by which the clocks of two servers may differ."""
FOREVER = float("inf")


class AccountTokens:
    """Implements ``moorage_tenants.authentication.verified.SignedTokens`` for the cluster's own issuer. ``issuer`` is its URL,
    ``audiences`` who the API is.
    """

    def __init__(
        self,
        store: Store,
        keys: SigningKeys,
        issuer: str,
        audiences: Sequence[str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.audiences = tuple(audiences)
        self.keys = keys
        self._store = store
        self._clock = clock
        self._caches: dict[ResourceKey, Cache] = {}

    async def issue(self, bound: Bound, audiences: Sequence[str], seconds: int) -> tuple[str, float]:
        """A new token and when it expires (seconds since the epoch)."""
        now = int(self._clock())
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            PRIVATE: bound.claim(),
            "nbf": now,
            "sub": bound.user,
        }
        return await self._sign(claims), float(now + seconds)

    async def issue_legacy(self, bound: Bound) -> str:
        """A token that lives as long as its Secret and its account."""
        return await self._sign(accounts.legacy(bound))

    def knows(self, issuer: str) -> bool:
        """Whether ``issuer`` is this cluster."""
        return issuer in (self.issuer, LEGACY_ISSUER)

    async def verify(self, token: jwt.Unverified, audiences: Sequence[str] = ()) -> Verified | None:
        """The account behind ``token``, or None. A token is for the audiences that it names, and for no others."""
        key = await self.keys.find(token.key_id)
        if key is None or token.algorithm != ALGORITHM:
            return None
        claims = jwt.verified_claims(token, key.public)
        if claims is None or claims.get("iss") != token.issuer:
            return None
        if token.issuer == LEGACY_ISSUER:
            until, meant = FOREVER, self.audiences
        else:
            if not jwt.current(claims, self._clock(), SKEW):
                return None
            until, meant = float(claims["exp"]), tuple(jwt.audiences_of(claims))
        if not set(meant) & set(audiences or self.audiences):
            return None
        bound = accounts.read(claims)
        if bound is None:
            return None
        token_id = claims.get("jti", "")
        return Verified(bound.identity(token_id if isinstance(token_id, str) else ""), until, meant, bound)

    async def alive(self, verified: Verified) -> bool:
        """Whether account, pod, secret and node are still those of the token. Raises Unavailable."""
        bound = verified.bound
        assert isinstance(bound, Bound)
        for resource, namespace, ref in _objects(bound):
            cache = self._caches.get(resource)
            if cache is None:
                cache = self._caches[resource] = await self._store.cache(resource)
            token_id = bound.legacy_id if resource == SECRETS else ""
            # A cache that lags refuses nothing that is true: it is brought up to date before it may say no.
            if not _is(cache, namespace, ref, token_id) and not _is(
                await fresh(self._store, resource), namespace, ref, token_id
            ):
                return False
        return True

    async def _sign(self, claims: Mapping[str, Any]) -> str:
        key = await self.keys.signer()
        header = {"alg": ALGORITHM, "kid": key.key_id}
        return jose.encode(header, dict(claims), key.private, algorithms=[ALGORITHM])


def _objects(bound: Bound) -> Sequence[tuple[ResourceKey, str, Ref]]:
    found = [(ACCOUNTS, bound.namespace, bound.account)]
    if bound.pod is not None:
        found.append((PODS, bound.namespace, bound.pod))
    if bound.secret is not None:
        found.append((SECRETS, bound.namespace, bound.secret))
    if bound.node is not None and bound.pod is None:
        # A pod's token says where it runs; it is bound to the node through the pod.
        found.append((NODES, "", bound.node))
    return found


def _is(cache: Cache, namespace: str, ref: Ref, token_id: str) -> bool:
    entry = cache.get(namespace, ref.name)
    if entry is None or (ref.uid and entry.uid != ref.uid):
        return False
    return not token_id or entry.labels.get(LEGACY_ID) == token_id
