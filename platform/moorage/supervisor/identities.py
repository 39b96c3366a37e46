"""The secrets of an installation: bearer tokens of its parts, the list of their hashes, the key-encryption key."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from moorage.api.contracts import Identity
from moorage.supervisor.layout import Layout, SetupError, write_private
from moorage_tenants import names
from moorage_tenants.authentication.text import digest, new_join_token, new_token
from moorage_tenants.sealing import new_kek


def ensure(layout: Layout, nodes: Sequence[str], ca_sha256: str) -> None:
    """Make what is missing, and write down the hashes that the server may accept. Raises SetupError."""
    try:
        if not layout.kek.exists():
            if (layout.root / "postgres" / "PG_VERSION").exists():
                raise SetupError(
                    f"{layout.kek} is missing, but the database holds secrets sealed with it; put it back from your backup"
                )
            write_private(layout.kek, new_kek())
        entries = [
            _entry(_token(layout.tokens / "admin", new_token), names.admin()),
            _entry(_token(layout.tokens / "controllers", new_token), names.controllers()),
        ]
        for node in nodes:
            token = _token(layout.node_token(node), lambda: new_join_token(ca_sha256))
            entries.append(_entry(token, names.node(node)))
        write_private(layout.bootstrap_tokens, json.dumps(entries, indent=1) + "\n")
    except OSError as error:
        raise SetupError(f"the secrets in {layout.root} cannot be written: {error}") from None


def _token(path: Path, make: Callable[[], str]) -> str:
    if path.exists() and (token := path.read_text("ascii").strip()):
        return token

    token = make()
    write_private(path, token + "\n")
    return token


def _entry(token: str, identity: Identity) -> dict[str, object]:
    return {"sha256": digest(token), "user": identity.name, "groups": sorted(identity.groups)}
