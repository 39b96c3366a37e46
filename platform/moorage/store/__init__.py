"""Where it is kept: PostgreSQL tables, the commit function, the group committer, caches, watches, compaction.

Lives here: everything that sees SQL, and the bytes of documents with their revisions.
Does not live here: HTTP, kinds' rules, who may do what.
"""

from moorage.store.errors import InvalidDocument, SchemaMissing, SealBroken
from moorage.store.settings import StoreSettings
from moorage.store.store import PostgresStore, SealerFactory, open_store

__all__ = [
    "InvalidDocument",
    "PostgresStore",
    "SchemaMissing",
    "SealBroken",
    "SealerFactory",
    "StoreSettings",
    "open_store",
]
