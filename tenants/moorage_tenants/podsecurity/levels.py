"""Levels and versions of the standards, and which ones a namespace asks for.

Source: KEP-2579; "Enforce Pod Security Standards with Namespace Labels" in the Kubernetes documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from moorage.resources.field_errors import invalid
from moorage.resources.kind import FieldError

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
"""From the loosest to the strictest."""
LATEST = "latest"
MODES = ("enforce", "audit", "warn")

_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")
_NEWEST = 10**6


class Standard(NamedTuple):
    """A level at a version (``latest`` or ``v1.N``)."""

    level: str = PRIVILEGED
    version: str = LATEST

    @property
    def minor(self) -> int:
        """N of ``v1.N``; more than any version for ``latest``."""
        match = _VERSION.fullmatch(self.version)
        return int(match[1]) if match else _NEWEST

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


def rank(level: str) -> int:
    """How strict a level is."""
    return LEVELS.index(level)


def stricter(one: Standard, other: Standard) -> Standard:
    """The stricter of two; of the same level, that of the newer version."""
    return max(one, other, key=lambda standard: (rank(standard.level), standard.minor))


class Policy(NamedTuple):
    """What a namespace asks for: ``enforce`` refuses pods, ``audit`` is written down, ``warn`` is told to the user."""

    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()

    @property
    def asks_nothing(self) -> bool:
        """Whether every pod passes without a word."""
        return self.enforce.level == self.audit.level == self.warn.level == PRIVILEGED

    def at_least(self, floor: Policy) -> Policy:
        """The stricter of both, mode by mode."""
        return Policy(
            stricter(self.enforce, floor.enforce), stricter(self.audit, floor.audit), stricter(self.warn, floor.warn)
        )


_NOTHING = Policy()


def policy_of(labels: Mapping[str, str], defaults: Policy = _NOTHING) -> tuple[Policy, list[FieldError]]:
    """What the labels of a namespace ask for, and what is wrong with them. A broken level enforces the strictest one, but
    neither warns nor audits. Where only ``enforce`` is given, its violations are warned about and audited as well (that
    reaches those who make workloads, whose pods would be refused). ``defaults`` holds for what no label says.
    """
    errors: list[FieldError] = []
    found: dict[str, Standard] = {}
    for mode in MODES:
        standard: Standard = getattr(defaults, mode)
        if mode != "enforce" and f"{PREFIX}{mode}" not in labels and f"{PREFIX}enforce" in labels:
            standard = found["enforce"]
        level, version = labels.get(f"{PREFIX}{mode}"), labels.get(f"{PREFIX}{mode}-version")
        if level is not None:
            standard = standard._replace(level=_level(mode, level, errors))
        if version is not None:
            standard = standard._replace(version=_version(mode, version, errors))
        found[mode] = standard
    return Policy(**found), errors


def is_version(text: str) -> bool:
    """Whether a version of the standards is called so."""
    return text == LATEST or _VERSION.fullmatch(text) is not None


def _level(mode: str, level: str, errors: list[FieldError]) -> str:
    if level in LEVELS:
        return level
    errors.append(invalid(f"metadata.labels[{PREFIX}{mode}]", level, f"must be one of {', '.join(LEVELS)}"))
    return RESTRICTED if mode == "enforce" else PRIVILEGED


def _version(mode: str, version: str, errors: list[FieldError]) -> str:
    if is_version(version):
        return version
    path = f"metadata.labels[{PREFIX}{mode}-version]"
    errors.append(invalid(path, version, 'must be "latest" or "v1.x"'))
    return LATEST
