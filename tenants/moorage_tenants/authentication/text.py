"""Opaque tokens as texts: how they are made, and the hash that is kept of them.

A token has 256 random bits, so a plain SHA-256 needs no salt.
"""

from __future__ import annotations

import hashlib
import secrets

JOIN_PREFIX = "moorage1"


def digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """A fresh token for a person or a team."""
    return "mt_" + secrets.token_urlsafe(32)


def new_join_token(ca_sha256: str) -> str:
    """A fresh token for a node; it carries the hash of the CA certificate that the node must find."""
    return f"{JOIN_PREFIX}.{ca_sha256}.{secrets.token_urlsafe(32)}"
