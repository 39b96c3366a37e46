"""Tokens in a file: what the server accepts before, and without, any database. The file holds hashes only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from moorage.api.contracts import Identity
from moorage_tenants.names import AUTHENTICATED


class BadTokens(ValueError):
    """The bootstrap tokens cannot be used; the text names file and place."""


def read_bootstrap(path: Path) -> dict[str, Identity]:
    """Hash -> identity from ``[{"sha256", "user", "groups"}]``. Raises BadTokens."""
    try:
        entries = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadTokens(f"the bootstrap tokens {path} cannot be read: {error}") from None
    if not isinstance(entries, list):
        raise BadTokens(f'{path}: must be a list of {{"sha256", "user", "groups"}}')
    return dict(_entry(path, number, entry) for number, entry in enumerate(entries))


def _entry(path: Path, number: int, entry: object) -> tuple[str, Identity]:
    if isinstance(entry, Mapping):
        sha256, user, groups = entry.get("sha256"), entry.get("user"), entry.get("groups", [])
        if (
            isinstance(sha256, str)
            and len(sha256) == 64
            and isinstance(user, str)
            and user
            and isinstance(groups, list)
            and all(isinstance(group, str) for group in groups)
        ):
            return sha256, Identity(user, frozenset(groups) | {AUTHENTICATED})
    raise BadTokens(f'{path}: [{number}]: must hold "sha256" (64 hexadecimal digits), "user" and "groups"')
