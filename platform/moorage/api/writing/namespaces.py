"""What namespaces ask of those who write into them, and of those who delete them.

A create needs a namespace that is there and not going. The check reads the cache, as Kubernetes' does: what slips in while the
deletion is on its way to this server is found by the namespace controller, which sweeps until nothing is left.
Source: apiserver's NamespaceLifecycle admission plugin.
"""

from __future__ import annotations

from moorage.api.errors import forbidden, not_found
from moorage.api.writing.contracts import View
from moorage.resources.kind import Document, Kind, ResourceKey
from moorage.resources.registry import Registry
from moorage.store.contracts import Entry

NAMESPACES = ResourceKey("", "namespaces")
FINALIZER = "kubernetes"
IMMORTAL = frozenset(("default", "kube-system", "kube-public"))


def is_namespace(kind: Kind) -> bool:
    """Whether ``kind`` is the Namespace itself."""
    return kind.storage == NAMESPACES


def namespace_kind(registry: Registry) -> Kind:
    """The Namespace kind. Raises LookupError where the registry lacks it."""
    kind = registry.by_plural("", "v1", "namespaces")
    if kind is None:
        raise LookupError("the registry has no namespaces")
    return kind


def terminating(entry: Entry) -> bool:
    """Whether the object is being deleted. The bytes are searched first: few objects are."""
    return b'"deletionTimestamp"' in entry.data and "deletionTimestamp" in entry.document()["metadata"]


async def require_active(view: View, namespaces: Kind, kind: Kind, namespace: str, name: str) -> None:
    """Raises ApiError 404 where ``namespace`` is missing, 403 where it is being deleted."""
    entry = await view.get(namespaces, "", namespace)
    if entry is None:
        raise not_found("", "namespaces", namespace)
    if terminating(entry):
        text = f"unable to create new content in namespace {namespace} because it is being terminated"
        error = forbidden(kind.group, kind.plural, name, text)
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        error.details["causes"] = [cause]
        raise error


def check_deletable(name: str) -> None:
    """Raises ApiError 403 for the namespaces that the platform stands on."""
    if name in IMMORTAL:
        raise forbidden("", "namespaces", name, "this namespace may not be deleted")


def prepare(namespace: Document) -> None:
    """What a new namespace starts with: the finalizer that the namespace controller takes away last, and its phase."""
    spec = namespace.setdefault("spec", {})
    finalizers = spec.setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    namespace["status"] = {"phase": "Active"}


def held(namespace: Document) -> bool:
    """Whether the namespace's own finalizers keep it."""
    return bool((namespace.get("spec") or {}).get("finalizers"))
