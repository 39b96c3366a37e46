"""Errors of the store beyond the contract's: causes that the API turns into refusals of its own, or that an operator reads."""

from __future__ import annotations


class InvalidDocument(ValueError):
    """A document that PostgreSQL would store and never read again (U+0000), or not store at all (broken JSON or UTF-8)."""


class SealBroken(Exception):
    """A sealed document cannot be decrypted: the key is gone, or the row was moved or changed."""


class SchemaMissing(RuntimeError):
    """The database is not migrated to what this program needs."""


class StaleWriter(Exception):
    """The writer's epoch was raised: this connection's batches are refused (SQLSTATE MG001)."""


class StaleHistory(Exception):
    """The cluster has begun a new epoch: what this process knows is of another history (SQLSTATE MG002)."""
