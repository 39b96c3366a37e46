"""What a detector found: where, by which rule, and what to do. Never the value itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

PLAIN_SECRET = "plain-secret"  # noqa: S105 - the name of a rule
PRIVATE_KEY = "private-key"
TOKEN = "token"  # noqa: S105 - the name of a rule
PASSWORD_IN_URL = "password-in-url"  # noqa: S105 - the name of a rule
HIGH_ENTROPY = "high-entropy"
RULES = (PLAIN_SECRET, PRIVATE_KEY, TOKEN, PASSWORD_IN_URL, HIGH_ENTROPY)


@dataclass(frozen=True, slots=True)
class Finding:
    """``line`` counts from 1. ``fingerprint`` tells two findings apart without telling the value."""

    path: str
    line: int
    rule: str
    message: str
    fingerprint: str


def fingerprint(rule: str, path: str, value: str) -> str:
    """Sixteen hexadecimal digits that stay the same while the value does; short values are hidden among very many others."""
    digest = hashlib.scrypt(
        value.encode(errors="surrogateescape"),
        salt=f"moorage scan {rule} {path}".encode(errors="replace"),
        n=1 << 10,
        r=8,
        p=1,
    )
    return digest[:8].hex()
