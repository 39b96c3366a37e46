"""Questions about a pod's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources.kind import Document


def condition(pod: Document, kind: str) -> Mapping[str, Any]:
    """The pod's condition of a type (``Ready``), or an empty mapping where it has none."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind:
            found: Mapping[str, Any] = each
            return found
    return {}


def is_ready(pod: Document) -> bool:
    """Whether it may get traffic."""
    return condition(pod, "Ready").get("status") == "True"


def is_finished(pod: Document) -> bool:
    """Whether its containers have ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
