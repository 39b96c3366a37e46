"""What can be tuned. The defaults suit one machine with a few cores; tests make them small."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Times are seconds, sizes bytes unless said otherwise."""

    readers: int = 4
    """Connections for reads beyond the ones that the store keeps for itself (commits, probes, notifications, upkeep)."""
    connect_timeout: float = 5.0
    commit_deadline: float = 30.0
    """How long a commit is retried or its outcome looked up before the caller hears of it."""
    attempt_timeout: float = 15.0
    """How long one database call may take before its connection counts as lost."""
    read_deadline: float = 10.0
    """How long a read waits for a database that is away."""
    poll: float = 1.0
    """How often the change log is read although no notification came."""
    batch_members: int = 256
    batch_bytes: int = 8 << 20
    ring_changes: int = 4096
    """Recent changes that each cache keeps for watches that resume; older ones are read from PostgreSQL."""
    ring_bytes: int = 16 << 20
    watcher_changes: int = 8192
    """A watcher that lets more changes than this pile up is cut off."""
    watcher_bytes: int = 64 << 20
    partition_size: int = 100_000
    """Revisions in one partition of the change log."""
    partitions_ahead: int = 2
    horizon_age: float = 3600.0
    """History younger than this is kept, as long as it fits into ``history_bytes``."""
    history_bytes: int = 4 << 30
    upkeep_every: float = 5.0
    compact_every: float = 60.0
    expire_members: int = 200
    """Expired objects that one batch removes."""
    audit_age: float = 90 * 86400.0
    """How long the audit is kept, in whole days."""
    deleted_secrets_age: float = 30 * 86400.0
    """How long the versions of a deleted Secret can be restored."""
    pushes_kept: int = 100
    """Pushes of each Git ref that stay however old they are; others are forgotten after ``pushes_age``."""
    pushes_age: float = 30 * 86400.0
    pushes_most: int = 2000
    """Pushes of one repository, whatever their refs and age."""
