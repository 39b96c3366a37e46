"""Wrapped data keys: implements ``contracts.KeyStore``."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.store.database import Readers

# The newest generation first; in it the key that came first, so that all processes agree on one.
SELECT = "SELECT key_id, wrapped FROM data_keys WHERE namespace = %s ORDER BY generation DESC, serial"
INSERT = """
INSERT INTO data_keys (namespace, key_id, generation, wrapped, created_at) VALUES (%s, %s, %s, %s, clock_timestamp())
ON CONFLICT (namespace, key_id) DO NOTHING
"""


class DataKeys:
    """Table ``data_keys``. Methods raise Unavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def data_keys(self, namespace: str) -> Sequence[tuple[str, bytes]]:
        """(key id, wrapped key) of a namespace: the one to seal with first."""
        return [(key_id, bytes(wrapped)) for key_id, wrapped in await self._readers.fetch(SELECT, (namespace,))]

    async def add_data_key(self, namespace: str, key_id: str, wrapped: bytes, *, generation: int = 1) -> None:
        """Keep a new wrapped key. A rotation gives a higher ``generation``; keys of old ones stay for reading."""
        await self._readers.execute(INSERT, (namespace, key_id, generation, wrapped))
