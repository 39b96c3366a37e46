"""Key pairs of the platform: what signs service account tokens, what SealedSecrets are encrypted to.

The private half is encrypted before it comes here, and this module knows nothing of how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.store.database import Readers

LIST = """
SELECT key_id, sealed, public, extract(epoch FROM created_at)::float8, extract(epoch FROM retired_at)::float8
FROM signing_keys WHERE purpose = %s ORDER BY serial DESC
"""
ADD = """
INSERT INTO signing_keys (purpose, key_id, sealed, public, created_at) VALUES (%s, %s, %s, %s, clock_timestamp())
ON CONFLICT (purpose, key_id) DO NOTHING
"""
# Under a lock of its own: where many servers start at once, one makes the first key and the others find it.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('moorage signing keys', 0))"
REPLACE = "UPDATE signing_keys SET sealed = %s WHERE purpose = %s AND key_id = %s AND sealed = %s"
RETIRE = (
    "UPDATE signing_keys SET retired_at = clock_timestamp() WHERE purpose = %s AND key_id = %s AND retired_at IS NULL"
)
REMOVE = "DELETE FROM signing_keys WHERE purpose = %s AND key_id = %s"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair. ``sealed`` is the private half, encrypted; ``public`` the other one, in its owner's format. A retired key
    (seconds since the epoch) verifies, and signs no more.
    """

    purpose: str
    key_id: str
    sealed: bytes
    public: bytes
    created_at: float = 0.0
    retired_at: float | None = None


class SigningKeys:
    """Table ``signing_keys``. ``purpose`` keeps kinds of keys apart ("service-account"). Methods raise Unavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def keys(self, purpose: str) -> Sequence[SigningKey]:
        """All keys of a purpose, the newest first: sign with the first one that is not retired."""
        return [
            SigningKey(purpose, key_id, bytes(sealed), bytes(public), created, retired)
            for key_id, sealed, public, created, retired in await self._readers.fetch(LIST, (purpose,))
        ]

    async def add(self, key: SigningKey) -> None:
        """Keep a new key; it is the newest one from now on."""
        await self._readers.execute(ADD, (key.purpose, key.key_id, key.sealed, key.public))

    async def add_first(self, key: SigningKey) -> Sequence[SigningKey]:
        """Keep ``key`` where there is none of its purpose yet, whoever else tries; all keys, as ``keys`` gives them."""
        async with self._readers.connection() as connection, connection.transaction():
            await connection.execute(LOCK)
            found = await (await connection.execute(LIST, (key.purpose,))).fetchone()
            if found is None:
                await connection.execute(ADD, (key.purpose, key.key_id, key.sealed, key.public))
        return await self.keys(key.purpose)

    async def replace(self, key: SigningKey, sealed: bytes) -> bool:
        """Put another encryption of the same private half in place of ``key.sealed``; False where it had changed."""
        return await self._readers.execute(REPLACE, (sealed, key.purpose, key.key_id, key.sealed)) > 0

    async def retire(self, purpose: str, key_id: str) -> bool:
        """Sign with it no more; whether it was in use."""
        return await self._readers.execute(RETIRE, (purpose, key_id)) > 0

    async def remove(self, purpose: str, key_id: str) -> bool:
        """Forget it; what it signed is void."""
        return await self._readers.execute(REMOVE, (purpose, key_id)) > 0
