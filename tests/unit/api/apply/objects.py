"""Objects to apply, and a small world to apply them in."""

from __future__ import annotations

import copy
from typing import Any

from moorage.api.apply import apply, keep_times, record
from moorage.resources.kind import Document, Kind
from tests.unit.api.kinds import DEPLOYMENT


def at(second: int) -> str:
    """A time of writing."""
    return f"2026-01-01T00:00:{second:02d}Z"


def deployment(**spec: Any) -> Document:
    """A Deployment as a user writes it: one container, no replicas."""
    container = {"name": "web", "image": "nginx:1"}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    base = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    metadata = {"name": "web", "namespace": "demo", "labels": {"app": "web"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {**base, **copy.deepcopy(spec)},
    }


def configmap(data: dict[str, str] | None = None, **metadata: Any) -> Document:
    """A ConfigMap."""
    document: Document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "demo", **metadata},
    }
    if data is not None:
        document["data"] = data
    return document


class World:
    """One object and its life, as the API would have it."""

    def __init__(self, kind: Kind = DEPLOYMENT) -> None:
        self.kind = kind
        self.live: Document | None = None
        self.clock = 0

    def apply(self, config: Document, manager: str = "alice", force: bool = False, subresource: str = "") -> Document:
        """Server-side apply, defaulting, and the check for changes."""
        self.clock += 1
        before, config_before = copy.deepcopy(self.live), copy.deepcopy(config)
        new = apply(self.kind, self.live, config, manager, force=force, now=at(self.clock), subresource=subresource)
        assert (self.live, config) == (before, config_before), "neither argument may be changed"
        self.kind.default(new)
        if self.live is not None:
            keep_times(new, self.live)
        new["metadata"].setdefault("uid", "1")
        self.live = new
        return new

    def write(self, new: Document, manager: str = "bob", subresource: str = "") -> Document:
        """Create or update."""
        self.clock += 1
        new = copy.deepcopy(new)
        self.kind.default(new)
        record(self.kind, new, self.live, manager, subresource, at(self.clock))
        new["metadata"].setdefault("uid", "1")
        self.live = new
        return new

    def edit(self, manager: str = "bob", subresource: str = "", **spec: Any) -> Document:
        """Update some fields of the spec (or status)."""
        assert self.live is not None
        new = copy.deepcopy(self.live)
        new.setdefault("status" if subresource == "status" else "spec", {}).update(spec)
        return self.write(new, manager, subresource)

    def managers(self) -> list[str]:
        """Who owns something: ``name Operation[/subresource]``."""
        entries = (self.live or {})["metadata"].get("managedFields", [])
        return [
            f"{each['manager']} {each['operation']}" + (f"/{each['subresource']}" if "subresource" in each else "")
            for each in entries
        ]

    def fields(self, manager: str, operation: str = "Apply") -> Any:
        """The fieldsV1 of a manager."""
        for each in (self.live or {})["metadata"].get("managedFields", []):
            if (each["manager"], each["operation"]) == (manager, operation):
                return each["fieldsV1"]
        return None
