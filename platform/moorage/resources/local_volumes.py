"""How much room a node has for volumes that are its folders: its disk is promised once, not twice.

``docs/decisions/volumes-of-a-node-are-folders.md`` has the reasons. Amounts are whole bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.resources import quantity
from moorage.resources.printing import at


def disk_of(node: Mapping[str, Any]) -> int | None:
    """The size of the node's disk; None where the node does not say."""
    text = at(node, "status.capacity", {}).get("ephemeral-storage")
    return None if text is None else quantity.whole(str(text))


def size_of(volume: Mapping[str, Any]) -> int:
    """How much a volume may hold."""
    return quantity.whole(str(at(volume, "spec.capacity", {}).get("storage") or "0"))


def asked_by(claim: Mapping[str, Any]) -> int:
    """How much a claim asks for."""
    return quantity.whole(str(at(claim, "spec.resources.requests", {}).get("storage") or "0"))


def why_no_room(node: Mapping[str, Any], there: Iterable[Mapping[str, Any]], wanted: int) -> str:
    """Why ``wanted`` more bytes are too many beside the volumes ``there``, which are folders of the node; "" where they fit."""
    disk = disk_of(node)
    if disk is None:
        return ""
    left = disk - sum(map(size_of, there))
    if wanted <= left:
        return ""
    name = node["metadata"]["name"]
    return f'node "{name}" has {_shown(max(left, 0))} left for volumes, and {_shown(wanted)} are asked for'


def _shown(amount: int) -> str:
    return str(quantity.canonical(f"{amount >> 20}Mi")) if amount >= 1 << 20 else str(amount)
