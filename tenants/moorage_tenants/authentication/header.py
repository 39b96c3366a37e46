"""The ``Authorization`` header: RFC 6750 Bearer, and RFC 7617 Basic with the token as password (what Git sends)."""

from __future__ import annotations

import base64
import binascii

LONGEST = 16 * 1024
"""Characters of a token. What is longer is refused unread: no provider's token comes near."""


def credentials(authorization: str) -> str | None:
    """The token in an ``Authorization`` header value; None where there is none, or one that is too long."""
    if len(authorization) > 2 * LONGEST:
        return None
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    scheme = scheme.lower()
    if scheme == "bearer":
        token = value
    elif scheme == "basic":
        try:
            token = base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
    else:
        return None
    return token if 0 < len(token) <= LONGEST else None
