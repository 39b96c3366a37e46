"""Columns and cells that several kinds share, as ``kubectl get`` shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moorage.resources import timestamps
from moorage.resources.kind import Column, Document

NONE = "<none>"
UNKNOWN = "<unknown>"


def _name(document: Document, _now: float) -> Any:
    return document.get("metadata", {}).get("name", "")


def _age(document: Document, now: float) -> Any:
    return timestamps.age(document.get("metadata", {}).get("creationTimestamp"), now)


NAME = Column(
    "Name",
    _name,
    format="name",
    description="Name must be unique within a namespace.",
)
AGE = Column("Age", _age, description="How long ago the object was created.")


def at(document: Mapping[str, Any], path: str, absent: Any = "") -> Any:
    """The value at a dotted path of objects, or ``absent`` where a part is missing or null."""
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return absent
        value = value.get(name)
        if value is None:
            return absent
    return value


def text(path: str, absent: str = "") -> Callable[[Document, float], Any]:
    """A cell with the text at ``path``; ``absent`` where it is empty."""
    return lambda document, _now: at(document, path) or absent


def number(path: str) -> Callable[[Document, float], Any]:
    """A cell with the integer at ``path``, 0 where there is none."""
    return lambda document, _now: at(document, path, 0)


def size(*paths: str) -> Callable[[Document, float], Any]:
    """A cell with how many items the lists or maps at ``paths`` have together."""
    return lambda document, _now: sum(len(at(document, path, ())) for path in paths)


def labels(values: Mapping[str, str] | None) -> str:
    """``a=1,b=2``, sorted; ``<none>`` where there are none."""
    return ",".join(f"{key}={value}" for key, value in sorted((values or {}).items())) or NONE


def container_names(path: str) -> Callable[[Document, float], Any]:
    """A cell with the names of the containers of the pod template at ``path``."""
    return lambda document, _now: ",".join(each.get("name", "") for each in at(document, f"{path}.spec.containers", ()))


def container_images(path: str) -> Callable[[Document, float], Any]:
    """A cell with the images of the containers of the pod template at ``path``."""
    return lambda document, _now: ",".join(
        each.get("image", "") for each in at(document, f"{path}.spec.containers", ())
    )
