"""What the Git host is made of. The composition root fills this in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from moorage.api.contracts import Auditor, Authenticator, Authorizer, Transactor
from moorage.api.fairness.contracts import FlowOwners, NoOwners
from moorage.resources.registry import Registry
from moorage.store.contracts import Store
from moorage_gitops.host.manifests.limits import ManifestLimits


@dataclass(frozen=True, slots=True)
class GitLimits:
    """Bounds of one Git request. A breach refuses the request; the server goes on."""

    pack_bytes: int = 128 << 20
    """A pushed pack, as sent."""
    pack_objects: int = 500_000
    """Objects in a pushed pack."""
    commands: int = 1_000
    """Refs in one push."""
    fetch_bytes: int = 16 << 20
    """What a client may say in one fetch request."""
    memory: int = 4 << 30
    """Address space of a Git process, bytes: what an object that unpacks to gigabytes runs into."""
    seconds: float = 600.0
    """One request, uploading included."""
    receives: int = 16
    """Pushes at a time."""
    receives_each: int = 2
    """Pushes at a time of one tenant, or of one user who works for none."""
    uploads: int = 32
    """Fetches at a time."""
    uploads_each: int = 4
    """Fetches at a time of one tenant or user."""
    waits: int = 256
    """Pushes that are applied and wait for health."""
    waits_each: int = 16
    """Such pushes of one tenant or user; a further one keeps its place among the pushes."""
    queue: int = 50
    """Requests of one tenant or user that wait."""
    patience: float = 60.0
    """Seconds that a request waits for its turn."""
    wait_seconds: float = 300.0
    """How long ``git push -o wait`` waits for health."""


async def no_step(_step: str) -> None:
    """Nobody watches the steps of a push."""


@dataclass(frozen=True, kw_only=True)
class GitHostConfig:
    """Everything that ``build_git_app`` needs.

    ``on_step`` is awaited after each step of a push that changes what survives a crash: ``validated``, ``pack-durable``,
    ``committed``, ``ref-written``.
    """

    directory: Path
    """``DIR/git``: bare repositories by uid, and the host's own hooks."""
    registry: Registry
    store: Store
    transactor: Transactor
    authenticator: Authenticator
    authorizer: Authorizer
    auditor: Auditor
    flow_owners: FlowOwners = field(default_factory=NoOwners)
    """On whose account a push or fetch runs: each tenant has a turn of its own."""
    base_url: str = ""
    """``https://HOST:PORT/git``, for ``Repository.status.url``; where empty, the request's own Host header is used."""
    limits: GitLimits = field(default_factory=GitLimits)
    manifest_limits: ManifestLimits = field(default_factory=ManifestLimits)
    on_step: Callable[[str], Awaitable[None]] = no_step
