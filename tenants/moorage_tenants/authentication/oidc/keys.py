"""An issuer's signing keys: fetched when they are needed, kept while they are published, looked for again when one is unknown.

A token with an unknown key id makes us ask the issuer, but not more often than every ``PAUSE`` seconds, whoever sends how many.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from moorage_tenants.authentication.oidc.config import IssuerConfig, is_loopback, url_problem
from moorage_tenants.authentication.oidc.fetch import Fetcher, FetchError

log = logging.getLogger(__name__)

PAUSE = 10.0
"""Seconds between two fetches, at least."""
FRESH = 600.0
"""Seconds after which keys are fetched again although all are known: a key that was withdrawn is not believed longer."""
STALE = 86_400.0
"""Seconds after which keys that could not be fetched again are not believed any more."""
MOST_KEYS = 64
WITHOUT_ID = 4
"""Keys that are tried for a token that names none."""
SMALLEST_RSA = 2048

_FAMILIES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Algorithm -> (key type, curve): what makes a key fit (RFC 7518, 3.1)."""


class IssuerKeys:
    """The keys of one issuer. ``clock`` measures durations."""

    def __init__(self, config: IssuerConfig, fetcher: Fetcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._fetcher = fetcher
        self._clock = clock
        self._keys: list[tuple[dict[str, Any], Key]] = []
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self.error = ""
        """Why the last fetch failed, or ""."""

    async def candidates(self, key_id: str, algorithm: str) -> Sequence[Key]:
        """The keys that a token may have been signed with: one, none, or a few where it names no key."""
        age = self._clock() - self._fetched
        if age > STALE:
            self._keys = []
        found = self._find(key_id, algorithm)
        if not found:
            await self._refresh()
            return self._find(key_id, algorithm)
        if age > FRESH:
            self._begin()
        return found

    async def close(self) -> None:
        """Stop a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _find(self, key_id: str, algorithm: str) -> list[Key]:
        kind, curve = _FAMILIES[algorithm]
        fitting = [
            key
            for data, key in self._keys
            if data["kty"] == kind
            and (not curve or data.get("crv") == curve)
            and data.get("alg", algorithm) == algorithm
            and (not key_id or data.get("kid", "") == key_id)
        ]
        return fitting[:WITHOUT_ID]

    async def _refresh(self) -> None:
        task = self._begin()
        if task is not None:
            await asyncio.shield(task)

    def _begin(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, or a new one; None where it is too soon for another."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._clock() - self._tried < PAUSE:
            return None
        self._tried = self._clock()
        self._fetching = asyncio.create_task(self._fetch(), name=f"keys of {self._config.url}")
        return self._fetching

    async def _fetch(self) -> None:
        try:
            metadata = await self._fetcher.json(self._config.metadata_url)
            keys = await self._fetcher.json(self._jwks_url(metadata))
        except FetchError as error:
            self.error = str(error)
            log.warning("the signing keys of %s cannot be fetched: %s", self._config.url, error)
            return
        self._keys = _usable(keys)
        self._fetched = self._clock()
        self.error = "" if self._keys else "publishes no key that may be used"
        log.info("%s publishes %d signing keys", self._config.url, len(self._keys))

    def _jwks_url(self, metadata: Mapping[str, Any]) -> str:
        """Where the keys are. Raises FetchError for metadata of somebody else (Discovery 1.0, 4.3)."""
        if metadata.get("issuer") != self._config.url:
            raise FetchError(
                f"{self._config.metadata_url}: is the metadata of another issuer, {metadata.get('issuer')!r:.200}"
            )
        if not is_loopback(self._config.url):
            try:
                OpenIDProviderMetadata(metadata).validate_jwks_uri()
            except ValueError as error:
                raise FetchError(f"{self._config.metadata_url}: {error}") from None
        url = metadata.get("jwks_uri")
        if not isinstance(url, str) or (problem := url_problem(url)):
            raise FetchError(
                f"{self._config.metadata_url}: jwks_uri {problem if isinstance(url, str) else 'is missing'}"
            )
        return url


def _usable(document: Mapping[str, Any]) -> list[tuple[dict[str, Any], Key]]:
    """The public keys of a JWK set (RFC 7517) that may sign tokens; all else is passed over."""
    listed = document.get("keys")
    signing = [
        data
        for data in (listed[:MOST_KEYS] if isinstance(listed, list) else ())
        if isinstance(data, dict) and data.get("use", "sig") == "sig"
    ]
    return [(data, key) for data in signing if (key := _key(data)) is not None]


def _key(data: dict[str, Any]) -> Key | None:
    operations = data.get("key_ops")
    if operations is not None and "verify" not in operations:
        return None
    try:
        match data.get("kty"):
            case "RSA":
                if len(str(data["n"])) * 6 < SMALLEST_RSA:
                    return None
                key = RSAKey.import_key({name: data[name] for name in ("kty", "n", "e")})
                return key if key.raw_value.key_size >= SMALLEST_RSA else None
            case "EC":
                return ECKey.import_key({name: data[name] for name in ("kty", "crv", "x", "y")})
            case "OKP":
                return OKPKey.import_key({name: data[name] for name in ("kty", "crv", "x")})
    except (JoseError, ValueError, KeyError, TypeError) as error:
        log.warning("a published key cannot be used: %s", type(error).__name__)
    return None
