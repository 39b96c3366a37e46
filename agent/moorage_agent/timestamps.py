"""Times as the API and the engine write them."""

from __future__ import annotations

from datetime import datetime


def seconds(text: str) -> float:
    """An RFC 3339 time in seconds since the epoch; "" and Go's zero time are 0.0."""
    if not text or text.startswith("0001-"):
        return 0.0
    return datetime.fromisoformat(text).timestamp()
