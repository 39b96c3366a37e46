"""Instants as the API writes them."""

from __future__ import annotations

import time


def stamp(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
