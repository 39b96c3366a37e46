"""The platform's key pairs for SealedSecrets: private keys wrapped like data keys, kept among them, never thrown away."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moorage_tenants.sealed_secrets import cipher
from moorage_tenants.sealing.documents import DocumentSealer

KEYS = "@sealing"
"""Where they are kept among the data keys: no namespace can have this name."""
LOOK_AGAIN = 10.0
"""Seconds after which a server asks whether another one has made a newer pair."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs: ``privates`` by id, ``current`` the id of the one to seal to."""

    current: str
    privates: Mapping[str, bytes]

    @property
    def public(self) -> bytes:
        """The public key to seal to."""
        return cipher.public_of(self.privates[self.current])


class SealingKeys:
    """Reads and makes the pairs. Methods raise Unavailable, and InvalidTag where a pair cannot be unwrapped."""

    def __init__(self, sealer: DocumentSealer) -> None:
        self._sealer = sealer
        self._pairs: Pairs | None = None
        self._looked = 0.0
        self._making = asyncio.Lock()

    async def pairs(self, *, wanted: str = "") -> Pairs:
        """All pairs; a first one is made where there is none. Where ``wanted`` is not among those known, they are read anew."""
        known = self._pairs
        fresh = time.monotonic() - self._looked < LOOK_AGAIN
        if known is not None and fresh and (not wanted or wanted in known.privates):
            return known
        async with self._making:
            found = await self._read()
            if found is None:
                await self._make(1)
                found = await self._read()
            assert found is not None
            self._pairs, self._looked = found, time.monotonic()
            return found

    async def renew(self) -> str:
        """Make a new pair that is sealed to from now on; its id. Older ones keep opening what was sealed to them."""
        async with self._making:
            made = await self._make(len(await self._sealer.keys.data_keys(KEYS)) + 1)
            self._pairs = None
            return made

    async def published(self) -> list[dict[str, Any]]:
        """The public keys, the one to seal to first."""
        found = await self.pairs()
        return [
            {
                "id": each,
                "algorithm": "X25519-HKDF-SHA256-AES256GCM",
                "publicKey": base64.b64encode(cipher.public_of(private)).decode(),
                "current": each == found.current,
            }
            for each, private in found.privates.items()
        ]

    async def _read(self) -> Pairs | None:
        privates: dict[str, bytes] = {}
        for key_id, wrapped in await self._sealer.keys.data_keys(KEYS):
            privates[key_id] = await self._sealer.unwrap(KEYS, key_id, wrapped)
        return Pairs(next(iter(privates)), privates) if privates else None

    async def _make(self, generation: int) -> str:
        private = secrets.token_bytes(32)
        made = cipher.key_id(cipher.public_of(private))
        wrapped = await self._sealer.wrap(KEYS, made, private)
        await self._sealer.keys.add_data_key(KEYS, made, wrapped, generation=generation)
        return made
