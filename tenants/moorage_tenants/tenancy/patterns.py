"""Lists of names and patterns, where ``*`` stands for any text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache


class Patterns:
    """A list as an administrator wrote it, and what it lets through."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        self._match = _compiled(self.texts).fullmatch

    def __contains__(self, name: str) -> bool:
        return self._match(name) is not None

    def __str__(self) -> str:
        return ", ".join(self.texts) or "none"


@lru_cache(4096)
def _compiled(texts: tuple[str, ...]) -> re.Pattern[str]:
    parts = (".*".join(re.escape(part) for part in text.split("*")) for text in texts)
    # An empty list lets nothing through, not even the empty name.
    return re.compile("|".join(parts) if texts else r"(?!)", re.DOTALL)
