"""Amounts of a quota as whole numbers, and back: CPU in millicores, everything else in units (bytes, objects).

Numbers are what the store adds up; texts are what ResourceQuotas, Tenants and refusals show.
"""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources import quantity
from moorage.resources.quantity import NANO, Quantity

LARGEST = 2**63 - 1
_CPU = frozenset({"cpu", "requests.cpu", "limits.cpu"})
_NANOS_PER_MILLI = NANO // 1000
CLASS_STORAGE = ".storageclass.storage.k8s.io/requests.storage"
CLASS_CLAIMS = ".storageclass.storage.k8s.io/persistentvolumeclaims"
"""What comes after the name of a StorageClass in the resources that limit it alone."""


def limit(name: str, text: str) -> int:
    """The most that may be used, rounded down: nobody gets more than was granted. Raises QuantityError."""
    return min(quantity.parse(text).nanos // (_NANOS_PER_MILLI if name in _CPU else NANO), LARGEST)


def amount(name: str, text: str) -> int:
    """What one object uses, rounded up; at most ``quantity.MOST``. Raises QuantityError."""
    return min(quantity.milli(text) if name in _CPU else quantity.whole(text), quantity.MOST)


def _in_bytes(name: str) -> bool:
    if "/" in name:
        return name.endswith(CLASS_STORAGE)
    return name.endswith(("memory", "storage")) or "hugepages-" in name


def shown(name: str, value: int, like: str = "") -> str:
    """``value`` of the resource as Kubernetes prints quantities, in the notation of ``like`` (the limit, say)."""
    if name in _CPU:
        return str(Quantity(value * _NANOS_PER_MILLI))
    binary = quantity.parse(like).form == "binary" if like else _in_bytes(name)
    return str(Quantity(value * NANO, "binary" if binary and value % 1024 == 0 else "decimal"))


def listed(amounts: Mapping[str, str]) -> str:
    """``cpu=1,pods=2``, sorted, as refusals show a list of amounts."""
    return ",".join(f"{name}={text}" for name, text in sorted(amounts.items()))
