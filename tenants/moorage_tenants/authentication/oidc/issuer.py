"""One issuer: is a token really its own, meant for us, in time; and who is it then. Source: OpenID Connect Core 1.0, 3.1.3.7."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from moorage.api.contracts import Identity
from moorage_tenants.authentication import jwt
from moorage_tenants.authentication.oidc.config import SKEW, IssuerConfig, Mapped
from moorage_tenants.authentication.oidc.fetch import Fetcher
from moorage_tenants.authentication.oidc.keys import IssuerKeys
from moorage_tenants.authentication.verified import Verified
from moorage_tenants.names import AUTHENTICATED

RESERVED = "system:"
"""Names of the platform's own users and groups begin so; no provider hands them out."""
MOST_GROUPS = 1000


class Issuer:
    """Verifies tokens of one provider. ``audiences`` is who this API is, for reviews of such tokens."""

    def __init__(
        self, config: IssuerConfig, audiences: Sequence[str] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        self.config = config
        self._audiences = tuple(audiences)
        self._clock = clock
        self._fetcher = Fetcher(config.ca_pem, urlsplit(config.metadata_url).hostname or "")
        self.keys = IssuerKeys(config, self._fetcher)

    async def close(self) -> None:
        """Let go of connections."""
        await self.keys.close()
        await self._fetcher.close()

    async def verify(self, token: jwt.Unverified) -> Verified | None:
        """The identity behind ``token``, or None for one to refuse."""
        if token.algorithm not in self.config.algorithms:
            return None
        for key in await self.keys.candidates(token.key_id, token.algorithm):
            claims = jwt.verified_claims(token, key)
            if claims is not None:
                return self._judge(claims)
        return None

    def _judge(self, claims: Mapping[str, Any]) -> Verified | None:
        config = self.config
        if claims.get("iss") != config.url or not jwt.current(claims, self._clock(), SKEW):
            return None
        if not set(jwt.audiences_of(claims)) & set(config.audiences):
            return None
        party = claims.get("azp")
        if party is not None and party not in config.audiences:
            return None
        if any(claims.get(name) != value for name, value in config.required):
            return None
        identity = self._identity(claims)
        if identity is None:
            return None
        return Verified(identity, float(claims["exp"]) + SKEW, self._audiences)

    def _identity(self, claims: Mapping[str, Any]) -> Identity | None:
        config = self.config
        name = claims.get(config.username.claim)
        if not isinstance(name, str) or not name:
            return None
        if config.username.claim == "email" and claims.get("email_verified", True) is not True:
            return None
        user = config.username.prefix + name
        if user.startswith(RESERVED) or not user.isprintable():
            return None
        uid = claims.get(config.uid_claim, "") if config.uid_claim else ""
        groups = _groups(config.groups, claims) if config.groups else frozenset()
        return Identity(user, groups | {AUTHENTICATED}, uid if isinstance(uid, str) else "")


def _groups(mapped: Mapped, claims: Mapping[str, Any]) -> frozenset[str]:
    """The groups that a claim lists. Those of the platform's own names are left out."""
    value = claims.get(mapped.claim)
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        return frozenset()
    names = (mapped.prefix + name for name in listed[:MOST_GROUPS] if isinstance(name, str) and name)
    return frozenset(name for name in names if not name.startswith(RESERVED))
