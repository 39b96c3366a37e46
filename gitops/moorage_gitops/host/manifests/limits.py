"""How much of a manifest is read, and how a broken one is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moorage_gitops.host.manifests.places import Places


@dataclass(frozen=True, slots=True)
class ManifestLimits:
    """Bounds that keep a hostile or mistaken commit from stopping the server. A breach refuses the push."""

    files: int = 5_000
    """Manifest files of a commit."""
    documents: int = 4_900
    """Objects of a commit: what one transaction may hold (5,000), less the statuses and some deletions."""
    file_bytes: int = 3 << 20
    """One file: the API's own limit for one request."""
    total_bytes: int = 32 << 20
    """All manifest files of a commit: what one transaction may hold."""
    depth: int = 100
    """Nested mappings and lists. libyaml's own time grows with the square of the depth, so it is checked while parsing."""
    nodes: int = 400_000
    """Values of a file after its aliases are expanded."""
    text: int = 12 << 20
    """Characters of a file after its aliases are expanded."""
    tree_entries: int = 200_000
    """Entries of a commit's tree, manifests or not."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document of a file."""

    value: Any
    places: Places


class ManifestError(Exception):
    """A file cannot be read as manifests. ``line`` counts from 1; 0 for the file as a whole. Never holds a value of the file."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(slots=True)
class Budget:
    """What a file may still expand to. Raises ManifestError when it is spent."""

    limits: ManifestLimits
    nodes: int = 0
    text: int = 0

    def spend(self, nodes: int, text: int, line: int) -> None:
        """Count values and characters."""
        self.nodes += nodes
        self.text += text
        if self.nodes > self.limits.nodes or self.text > self.limits.text:
            raise ManifestError(
                "the document grows too large when its aliases (*name) are expanded; write it out or split it", line
            )

    def check_depth(self, depth: int, line: int) -> None:
        """Refuse what is nested too deep."""
        if depth > self.limits.depth:
            raise ManifestError(f"nested deeper than {self.limits.depth} levels", line)
