"""What the checks share: looking into every container, and the words for what was found there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Part = Mapping[str, Any]
_NOTHING: Part = {}


class Violation(NamedTuple):
    """``reason`` names the rule, ``detail`` says where it is broken."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


def containers(spec: Part) -> Iterator[Part]:
    """All containers of a pod, in the order in which messages name them."""
    for name in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(name) or ()


def security(part: Part) -> Part:
    """``securityContext`` of a pod or container."""
    return part.get("securityContext") or _NOTHING


def of(part: Part, *path: str) -> Any:
    """A value below ``securityContext``, or None."""
    value: Any = part.get("securityContext")
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def is_windows(spec: Part) -> bool:
    """Whether the pod says that it is for Windows."""
    return bool((spec.get("os") or _NOTHING).get("name") == "windows")


def in_user_namespace(spec: Part) -> bool:
    """Whether root in the pod is nobody outside of it (KEP-127)."""
    return spec.get("hostUsers") is False


def names(parts: Iterable[Part]) -> list[str]:
    """Their names."""
    return [str(part.get("name", "")) for part in parts]


def listed(texts: Iterable[str]) -> str:
    """``"a", "b"``."""
    return ", ".join(f'"{text}"' for text in texts)


def counted(one: str, many: str, count: int) -> str:
    """The word that fits the count."""
    return one if count == 1 else many


def named(found: list[str]) -> str:
    """``container "a"`` or ``containers "a", "b"``."""
    return f"{counted('container', 'containers', len(found))} {listed(found)}"


def setters(pod: bool, found: list[str]) -> str:
    """Who set something: ``pod and container "a"``; "" for nobody."""
    return " and ".join([*(["pod"] if pod else []), *([named(found)] if found else [])])
