"""Documents that tests start from, and the steps that a write takes them through."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from moorage.resources import schemas
from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import Document, GroupVersionKind, Kind

REMOVED = object()
"""An edit that takes the field away."""

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""

_REGISTRY = builtin_registry()


def ago(seconds: int) -> str:
    """The time ``seconds`` before NOW."""
    return datetime.fromtimestamp(NOW - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def kind(name: str, group: str = "") -> Kind:
    """The built-in kind of this name."""
    found = _REGISTRY.by_kind(GroupVersionKind(group, "v1", name))
    assert found is not None
    return found


def edited(document: Document, edits: Mapping[str, Any]) -> Document:
    """A copy of ``document`` with values put at dotted paths (numbers index lists)."""
    result = deepcopy(document)
    for path, value in edits.items():
        place: Any = result
        *parents, last = path.split("/")
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        if value is REMOVED:
            del place[last]
        elif isinstance(place, list):
            place[int(last) :] = [deepcopy(value)]
        else:
            place[last] = deepcopy(value)
    return result


def stored(of: Kind, document: Document) -> Document:
    """``document`` decoded, defaulted and prepared, as a create would do."""
    result = deepcopy(document)
    found = schemas.normalise(of, result)
    assert not found.errors, found.errors
    assert not found.unknown, found.unknown
    of.default(result)
    of.prepare_create(result)
    return result


def problems(of: Kind, document: Document) -> list[str]:
    """What a create of ``document`` would be refused for."""
    return [str(error) for error in of.validate(stored(of, document))]


def update_problems(of: Kind, new: Document, old: Document) -> list[str]:
    """What an update from ``old`` to ``new`` would be refused for; both as users write them."""
    before, after = stored(of, old), deepcopy(new)
    found = schemas.normalise(of, after)
    assert not found.errors, found.errors
    of.default(after)
    return changed_problems(of, after, before)


def changed_problems(of: Kind, new: Document, old: Document) -> list[str]:
    """What an update between two stored documents would be refused for."""
    after = deepcopy(new)
    of.prepare_update(after, old)
    return [str(error) for error in (*of.validate(after), *of.validate_update(after, old))]


def pod(**spec: Any) -> Document:
    """A sound pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "main", "image": "nginx:1.27"}], **spec},
    }


def workload(name: str) -> Document:
    """A sound Deployment or ReplicaSet."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": name,
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


def plain(name: str, group: str = "", **rest: Any) -> Document:
    """A document of a namespaced kind with nothing but a name, and ``rest``."""
    version = f"{group}/v1" if group else "v1"
    return {"apiVersion": version, "kind": name, "metadata": {"name": "one", "namespace": "shop"}, **rest}
