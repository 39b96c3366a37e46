"""Wrapped data keys: implements ``contracts.KeyStore``, and what rotations of the keys above and below them need."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.store.contracts import DataKey
from moorage.store.database import Readers

# The newest generation first; in it the key that came first, so that all processes agree on one.
SELECT = "SELECT key_id, wrapped FROM data_keys WHERE namespace = %s ORDER BY generation DESC, serial"
ALL = """
SELECT namespace, key_id, generation, wrapped FROM data_keys
WHERE (namespace, key_id) > (%s, %s) ORDER BY namespace, key_id LIMIT %s
"""
OF_NAMESPACE = """
SELECT namespace, key_id, generation, wrapped FROM data_keys WHERE namespace = %s ORDER BY generation DESC, serial
"""
INSERT = """
INSERT INTO data_keys (namespace, key_id, generation, wrapped, created_at) VALUES (%s, %s, %s, %s, clock_timestamp())
ON CONFLICT (namespace, key_id) DO NOTHING
"""
REPLACE = "UPDATE data_keys SET wrapped = %s WHERE namespace = %s AND key_id = %s AND wrapped = %s"
REMOVE = """
DELETE FROM data_keys k WHERE k.namespace = %s AND k.key_id = %s AND k.generation < (
    SELECT max(n.generation) FROM data_keys n WHERE n.namespace = k.namespace)
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

    async def generations(self, namespace: str) -> Sequence[DataKey]:
        """The keys of a namespace with their generations: the one to seal with first."""
        return [_key(columns) for columns in await self._readers.fetch(OF_NAMESPACE, (namespace,))]

    async def page(self, after: DataKey | None = None, limit: int = 500) -> Sequence[DataKey]:
        """Keys of all namespaces in the order of (namespace, key id), those after ``after``."""
        start = ("", "") if after is None else (after.namespace, after.key_id)
        return [_key(columns) for columns in await self._readers.fetch(ALL, (*start, limit))]

    async def replace(self, key: DataKey, wrapped: bytes) -> bool:
        """The same key in another wrapping; False where its wrapping is no longer ``key.wrapped``."""
        return await self._readers.execute(REPLACE, (wrapped, key.namespace, key.key_id, key.wrapped)) > 0

    async def remove(self, namespace: str, key_id: str) -> bool:
        """Forget a key of an old generation, after ``Resealing.in_use`` said that nothing needs it. The current generation's
        keys stay (False).
        """
        return await self._readers.execute(REMOVE, (namespace, key_id)) > 0


def _key(columns: tuple[str, str, int, bytes]) -> DataKey:
    namespace, key_id, generation, wrapped = columns
    return DataKey(namespace, key_id, generation, bytes(wrapped))
