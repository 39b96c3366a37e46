"""What declarations share: schema names and subresources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from moorage.resources.kind import GroupVersionKind, Subresource

CORE = "io.k8s.api.core.v1"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"


PROXIED = ("create", "delete", "get", "patch", "update")
"""What ``/proxy`` takes: every method, by its verb."""


def status_of(group: str, version: str, kind: str) -> Subresource:
    """``/status``."""
    return Subresource("status", GroupVersionKind(group, version, kind))


def scale() -> Subresource:
    """``/scale``."""
    return Subresource("scale", GroupVersionKind("autoscaling", "v1", "Scale"))


def by_name(subresources: Iterable[Subresource]) -> Mapping[str, Subresource]:
    """Subresources by their name."""
    return {each.name: each for each in subresources}
