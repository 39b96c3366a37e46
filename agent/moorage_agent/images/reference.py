"""Image names. Source: the grammar of the distribution project's ``reference`` package, and Docker's defaults."""

from __future__ import annotations

import re
from typing import NamedTuple

DEFAULT_DOMAIN = "docker.io"

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>(?:(?:{_DOMAIN}|\[[a-fA-F0-9:]+\](?::[0-9]+)?)/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_LONGEST_NAME = 255


class Reference(NamedTuple):
    """``text`` always carries a tag or a digest. ``domain`` is the registry's host."""

    text: str
    domain: str


def parse(text: str) -> Reference:
    """Read an image name and add the tag ``latest`` where it has none. Raises ValueError with Docker's words."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        lowered = _REFERENCE.fullmatch(text.lower())
        what = "repository name must be lowercase" if lowered else "invalid reference format"
        raise ValueError(what)
    name = match["name"]
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"repository name must not be more than {_LONGEST_NAME} characters")
    first, slash, _ = name.partition("/")
    registry = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    complete = text if match["tag"] or match["digest"] else f"{text}:latest"
    return Reference(complete, first if registry else DEFAULT_DOMAIN)
