"""The last versions of each Secret, sealed as the object was. The commit function keeps them; here they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.store.contracts import Key
from moorage.store.database import Readers
from moorage.store.entry import StoredEntry
from moorage.store.rows import Unsealer

LIST = """
SELECT version, uid, revision, actor, source_commit, extract(epoch FROM at)::float8, extract(epoch FROM deleted_at)::float8
FROM secret_versions WHERE namespace = %s AND name = %s ORDER BY version DESC
"""
GET = """
SELECT uid, revision, NULL, sealed, revision_offset FROM secret_versions
WHERE namespace = %s AND name = %s AND version = %s
"""
DELETED = """
SELECT s.name, extract(epoch FROM max(s.deleted_at))::float8 FROM secret_versions s
WHERE s.namespace = %s AND s.deleted_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM objects o
    WHERE o.storage_group = '' AND o.resource = 'secrets' AND o.namespace = s.namespace AND o.name = s.name)
GROUP BY s.name ORDER BY s.name
"""


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version. Numbers grow by one with each change, beyond deletion. Times are seconds since the epoch;
    ``deleted_at`` is when the Secret that had this version was deleted.
    """

    version: int
    uid: str
    revision: int
    actor: str
    source_commit: str
    at: float
    deleted_at: float | None = None


class SecretVersions:
    """Table ``secret_versions``. Methods raise Unavailable."""

    def __init__(self, readers: Readers, unsealer: Unsealer) -> None:
        self._readers = readers
        self._unsealer = unsealer

    async def list(self, namespace: str, name: str) -> Sequence[SecretVersion]:
        """The versions that are kept, newest first; those of a deleted Secret for 30 days after its deletion."""
        return [SecretVersion(*columns) for columns in await self._readers.fetch(LIST, (namespace, name))]

    async def get(self, namespace: str, name: str, version: int) -> StoredEntry | None:
        """The Secret as it was in ``version``: its document in the clear. None where that is not kept. Raises SealBroken."""
        found = await self._readers.fetch(GET, (namespace, name, version))
        if not found:
            return None
        return await self._unsealer.entry(found[0], Key("", "secrets", namespace, name))

    async def deleted(self, namespace: str) -> Sequence[tuple[str, float]]:
        """(name, time of the deletion) of the Secrets that are gone and could be restored."""
        return [(name, at) for name, at in await self._readers.fetch(DELETED, (namespace,))]
