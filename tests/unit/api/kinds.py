"""The built-in kinds by name, for the tests of this package."""

from __future__ import annotations

from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import GroupVersionKind, Kind

REGISTRY = builtin_registry()


def kind_of(group: str, name: str, version: str = "v1") -> Kind:
    """The kind; fails where it is not built in."""
    found = REGISTRY.by_kind(GroupVersionKind(group, version, name))
    assert found is not None, f"{group}/{version} {name} is not built in"
    return found


CONFIGMAP = kind_of("", "ConfigMap")
POD = kind_of("", "Pod")
NODE = kind_of("", "Node")
SECRET = kind_of("", "Secret")
SERVICE = kind_of("", "Service")
DEPLOYMENT = kind_of("apps", "Deployment")
