"""Where each field of a parsed document stands in its file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


@dataclass(slots=True)
class Places:
    """Lines (from 1) of the entries of every mapping and list of one document.

    Containers are known by identity, so a document must be asked about through the very value that was parsed.
    """

    first: int
    _lines: dict[int, dict[str | int, int]] = field(default_factory=dict)

    def add(self, container: object, lines: dict[str | int, int]) -> None:
        """Keep the lines of a container's entries."""
        self._lines[id(container)] = lines

    def of(self, container: object) -> dict[str | int, int]:
        """The lines of a container's entries."""
        return self._lines.get(id(container), {})

    def line(self, document: Any, path: str) -> int:
        """The line of a field, or of its nearest ancestor that is there.

        ``path`` is Kubernetes' form: ``spec.containers[0].image``, ``metadata.labels[a.b/c]``.
        """
        line, here, rest = self.first, document, path
        while rest:
            entry, rest = _step(here, rest)
            if entry is None:
                break
            line = self.of(here).get(entry, line)
            here = here[entry]
        return line


def _step(here: Any, path: str) -> tuple[str | int | None, str]:
    """The entry of ``here`` that ``path`` begins with, and the rest of the path; None where there is none."""
    if isinstance(here, dict):
        # A key may itself hold dots (data[a.b] is written data.a.b by some): the longest key that fits wins.
        bare = path.lstrip(".")
        candidates = [key for key in here if isinstance(key, str) and _begins(bare, key)]
        if candidates:
            longest = max(candidates, key=len)
            return longest, bare[len(longest) :]
    match = _STEP.match(path.lstrip("."))
    if match is None:
        return None, ""
    rest = path.lstrip(".")[match.end() :]
    name = (match[1] if match[1] is not None else match[2]).strip("\"'")
    if isinstance(here, dict) and name in here:
        return name, rest
    if isinstance(here, list) and name.isdigit() and int(name) < len(here):
        return int(name), rest
    return None, ""


def _begins(path: str, key: str) -> bool:
    return bool(key) and path.startswith(key) and (len(path) == len(key) or path[len(key)] in ".[")
