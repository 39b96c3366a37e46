"""Image references as an engine reads them. Source: the distribution reference grammar, Docker's "familiar names"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from moorage_tenants.tenancy.patterns import Patterns

DOCKER_HUB = "docker.io"
_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_well_formed = re.compile(rf"[a-z0-9.\-:\[\]]+(?:/{_PART})+").fullmatch
"""Whatever an engine would read otherwise than we do (dots that climb, spaces) comes from nowhere that is allowed."""


@lru_cache(4096)
def full_name(image: str) -> tuple[str, str]:
    """(name with registry, what follows it: ``:tag`` and ``@digest``): nginx is docker.io/library/nginx."""
    rest, at, digest = image.partition("@")
    host, slash, path = rest.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost" or host != host.lower()):
        host, path = DOCKER_HUB, rest
    host = host.lower()
    if host in _HUB_NAMES:
        host = DOCKER_HUB
        if "/" not in path:
            path = f"library/{path}"
    name, colon, tag = path.partition(":")
    return f"{host}/{name}", f"{colon}{tag}{at}{digest}"


class Registries:
    """Where images may come from. A pattern with a tag or digest is held against the whole reference; a bare host
    (``registry.example.com``) means all that is there; others are held against the name.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        whole = [_absolute(text) for text in texts]
        self._names = Patterns([text for text in whole if not _is_exact(text)])
        self._exact = Patterns([text for text in whole if _is_exact(text)])

    def __contains__(self, image: str) -> bool:
        name, version = full_name(image)
        return _well_formed(name) is not None and (name in self._names or name + version in self._exact)

    def __str__(self) -> str:
        return ", ".join(self.texts) or "none"


def _is_exact(pattern: str) -> bool:
    return ":" in pattern.rpartition("/")[2] or "@" in pattern


def _absolute(pattern: str) -> str:
    """A pattern with its registry, as images have theirs."""
    host, slash, _path = pattern.partition("/")
    if slash:
        known = "*" in host or "." in host or ":" in host or host == "localhost"
        return pattern if known else f"{DOCKER_HUB}/{pattern}"
    if pattern == "*":
        return pattern
    # As Docker reads a name without a slash: nginx:1.27 is an image and its tag; a host has a dot, or is localhost.
    bare = host.partition(":")[0]
    named = "." in bare or bare == "localhost"
    return f"{host}/*" if named else f"{DOCKER_HUB}/library/{pattern}"
