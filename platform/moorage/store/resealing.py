"""Re-encryption of what is sealed, while everything goes on: in small steps, each of which stands alone.

A ciphertext begins with the name of its key (``prefix``), so what is left to do can be seen in the rows themselves: a
rotation that was interrupted is resumed by just going on. A row is replaced only where it still holds the ciphertext that
was read; a write that came between has sealed with the current key already. Neither revisions nor watchers notice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from moorage.store.contracts import Key, SealContext, Sealer
from moorage.store.database import Readers
from moorage.store.rows import Unsealer
from moorage.store.wire import bytea_array, text_array

NAMESPACES = "SELECT DISTINCT namespace FROM objects WHERE sealed IS NOT NULL ORDER BY namespace"
_OTHERS = "namespace = %s AND sealed IS NOT NULL AND substr(sealed, 1, length(%s::bytea)) <> %s::bytea"
_THESE = "namespace = %s AND sealed IS NOT NULL AND substr(sealed, 1, length(%s::bytea)) = %s::bytea"
PENDING = f"""
SELECT (SELECT count(*) FROM objects WHERE {_OTHERS}) + (SELECT count(*) FROM secret_versions WHERE {_OTHERS})
"""  # noqa: S608 - constants of this module
OBJECTS = f"""
SELECT storage_group, resource, namespace, name, uid, sealed FROM objects WHERE {_OTHERS} LIMIT %s
"""  # noqa: S608 - constants of this module
VERSIONS = f"""
SELECT '', 'secrets', namespace, name, uid, sealed, version FROM secret_versions WHERE {_OTHERS} LIMIT %s
"""  # noqa: S608 - constants of this module
IN_USE = f"""
SELECT EXISTS (SELECT FROM objects WHERE {_THESE}) OR EXISTS (SELECT FROM secret_versions WHERE {_THESE})
    OR EXISTS (SELECT FROM revisions WHERE {_THESE})
    OR EXISTS (SELECT FROM revisions WHERE {_THESE.replace("sealed", "previous_sealed")})
"""  # noqa: S608 - constants of this module
REPLACE_OBJECTS = """
UPDATE objects o SET sealed = u.fresh, digest = u.digest
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::bytea[], %s::bytea[])
    AS u(storage_group, resource, namespace, name, former, fresh, digest)
WHERE o.storage_group = u.storage_group COLLATE "C" AND o.resource = u.resource COLLATE "C"
  AND o.namespace = u.namespace COLLATE "C" AND o.name = u.name COLLATE "C" AND o.sealed = u.former
"""
REPLACE_VERSIONS = """
UPDATE secret_versions s SET sealed = u.fresh
FROM unnest(%s::text[], %s::text[], %s::text[], %s::bytea[], %s::bytea[]) AS u(namespace, name, version, former, fresh)
WHERE s.namespace = u.namespace COLLATE "C" AND s.name = u.name COLLATE "C" AND s.version = u.version::bigint
  AND s.sealed = u.former
"""


class Resealing:
    """``prefix`` is how every ciphertext of one data key begins. Methods raise Unavailable."""

    def __init__(self, readers: Readers, sealer: Sealer) -> None:
        self._readers = readers
        self._sealer = sealer
        self._unsealer = Unsealer(sealer)

    async def namespaces(self) -> Sequence[str]:
        """Where sealed documents are; "" for cluster-scoped ones."""
        return [row[0] for row in await self._readers.fetch(NAMESPACES)]

    async def pending(self, namespace: str, prefix: bytes) -> int:
        """How many objects and kept versions are sealed with another key than that of ``prefix``."""
        return int((await self._readers.fetch(PENDING, (namespace, prefix, prefix) * 2))[0][0])

    async def step(self, namespace: str, prefix: bytes, limit: int = 100) -> int:
        """Seal up to ``limit`` documents anew, with the key that the sealer now uses. How many were found to do: 0 when
        nothing is left. Raises SealBroken for one that cannot be read.
        """
        where = (namespace, prefix, prefix)
        objects = await self._readers.fetch(OBJECTS, (*where, limit))
        versions = await self._readers.fetch(VERSIONS, (*where, limit - len(objects))) if len(objects) < limit else []
        if objects:
            fresh = [await self._again(row) for row in objects]
            digests = [hashlib.sha256(each).digest() for each in fresh]
            columns = [text_array(row[number] for row in objects) for number in range(4)]
            former = bytea_array([row[5] for row in objects])
            values = (*columns, former, bytea_array(fresh), bytea_array(digests))
            await self._readers.execute(REPLACE_OBJECTS, values)
        if versions:
            fresh = [await self._again(row) for row in versions]
            columns = [text_array(str(row[number]) for row in versions) for number in (2, 3, 6)]
            former = bytea_array([row[5] for row in versions])
            await self._readers.execute(REPLACE_VERSIONS, (*columns, former, bytea_array(fresh)))
        return len(objects) + len(versions)

    async def in_use(self, namespace: str, prefix: bytes) -> bool:
        """Whether anything is sealed with the key of ``prefix``, history included: then the key must be kept."""
        return bool((await self._readers.fetch(IN_USE, (namespace, prefix, prefix) * 4))[0][0])

    async def _again(self, row: Sequence[Any]) -> bytes:
        group, resource, namespace, name, uid, sealed = row[:6]
        plain = await self._unsealer.body(None, sealed, Key(group, resource, namespace, name), uid)
        return await self._sealer.seal(plain, SealContext(group, resource, namespace, name, uid))
