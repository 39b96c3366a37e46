"""Image references. Source: the distribution reference grammar."""

from __future__ import annotations


def pull_policy(image: str) -> str:
    """The policy that an image without one gets: ``Always`` for ``latest`` (also when unsaid), else ``IfNotPresent``."""
    name, _, digest = image.partition("@")
    last = name.rpartition("/")[2]
    _, colon, tag = last.partition(":")
    if not last:
        return "IfNotPresent"
    latest = tag == "latest" if colon else not digest
    return "Always" if latest else "IfNotPresent"
