"""Keeps values of variables out of what is told about a container: an engine that cannot start a program says its whole name, and
``$(PASSWORD)`` may stand in it. Whoever reads pods and events need not be one who reads Secrets.

Works on the spec alone, as the engine's words are read again after a restart of the agent. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CAUSES = re.compile(
    r"executable file not found in \$PATH|no such file or directory|permission denied|is a directory|not a directory"
    r"|exec format error|argument list too long|file name too long|operation not permitted|cannot allocate memory"
)
"""What is told of why a program cannot be started: the kernel's own words, which hold nothing of the command."""


def has_references(container: Mapping[str, Any]) -> bool:
    """Whether values of variables stand in the container's command or arguments."""
    return any("$(" in word for field in ("command", "args") for word in container.get(field) or ())


def told(message: str, container: Mapping[str, Any]) -> str:
    """The engine's ``message`` as users may read it: whole where nothing of the command was filled in."""
    if not message or not has_references(container):
        return message
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    cause = _CAUSES.search(message)
    reason = (
        cause[0] if cause is not None else "the engine's own words are not shown, as variables stand in the command"
    )
    return f"cannot start {' '.join(words)}: {reason}"
