"""What a node may: itself, its lease, its tunnel, the pods bound to it and what those pods name.

Source: Kubernetes' node authoriser (KEP-279) with selectors (KEP-4601), and ``system:node`` of the bootstrap policy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moorage.api.contracts import Attributes
from moorage.resources.core.pods.prepare import MIRROR
from moorage.resources.storage import HOME_FIELD, home_of, is_to_be_emptied
from moorage.resources.tenancy import tenant_of
from moorage.store.contracts import Cache
from moorage_tenants import names
from moorage_tenants.authorisation.words import OWN_GROUP, READ_VERBS, object_name
from moorage_tenants.pod_index import PodIndex, node_of

_OWN_NODE = READ_VERBS | {"create", "update", "patch"}
_LEASE = frozenset({"get", "create", "update", "patch", "delete"})
_EVENT = frozenset({"create", "update", "patch"})
_OF_THE_NETWORK = frozenset(
    {
        ("", "services"),
        ("discovery.k8s.io", "endpointslices"),
        ("networking.k8s.io", "servicecidrs"),
        ("network.moorage.io", "policyrules"),
    }
)
"""What rules and names on the node are made of: addresses, and nothing of what runs there."""
_RUNTIME_CLASSES = ("node.k8s.io", "runtimeclasses")
LEASE_NAMESPACE = "kube-node-lease"


class NodeRole:
    """The role of group ``system:nodes``.

    ``pods`` is the cache of Pods, ``index`` what they name. ``refresh`` brings both up to what PostgreSQL holds; it is
    awaited before a refusal only, so that a server that lags behind refuses nothing that is true.
    """

    def __init__(
        self,
        pods: Cache,
        index: PodIndex,
        refresh: Callable[[], Awaitable[None]],
        *,
        volumes: Cache | None = None,
        namespaces: Cache | None = None,
    ) -> None:
        self._pods = pods
        self._namespaces = namespaces
        self._volumes = volumes
        self._index = index
        self._refresh = refresh

    async def why_not(self, attributes: Attributes) -> str | None:
        """None where the node may do this; else what a node may of this resource."""
        user = attributes.identity.name
        if attributes.path or not user.startswith(names.NODE_PREFIX) or user == names.NODE_PREFIX:
            return ""
        node = user.removeprefix(names.NODE_PREFIX)
        match attributes.group, attributes.resource:
            case "", "pods":
                return await self._pod(node, attributes)
            case "", "secrets" | "configmaps":
                return await self._reference(node, attributes)
            case "", "persistentvolumeclaims" | "persistentvolumes":
                return await self._storage(node, attributes)
            case "", "serviceaccounts":
                return await self._account(node, attributes)
            case ("", "nodes") | (_, "leases"):
                return None if _looks_for_ways(attributes) else _own(node, attributes)
            case "" | "events.k8s.io", "events":
                return None if not attributes.subresource and attributes.verb in _EVENT else ""
            case group, resource if (group, resource) in _OF_THE_NETWORK or (group, resource) == _RUNTIME_CLASSES:
                return None if not attributes.subresource and attributes.verb in READ_VERBS else ""
            case group, "nodes" if group == OWN_GROUP:
                own = attributes.subresource == "tunnel" and attributes.name == node
                return None if own else "a node may open its own tunnel only"
        return ""

    async def _pod(self, node: str, attributes: Attributes) -> str | None:
        verb, subresource = attributes.verb, attributes.subresource
        if verb in {"list", "watch"} and not subresource:
            if attributes.field_selector.get("spec.nodeName") == node:
                return None
            if verb == "list" or not attributes.name:
                return "can only list/watch pods with spec.nodeName field selector"
        if (subresource, verb) == ("", "create"):
            if self._mirror(node, attributes) is not None:
                await self._refresh()
            return self._mirror(node, attributes)
        if (subresource, verb) not in {
            ("", "get"),
            ("", "watch"),
            ("", "delete"),
            ("status", "get"),
            ("status", "update"),
            ("status", "patch"),
        }:
            return ""
        key = attributes.namespace, attributes.name or attributes.field_selector.get("metadata.name", "")
        if self._bound(node, *key):
            return None
        await self._refresh()
        return None if self._bound(node, *key) else "no relationship found between node and this object"

    def _mirror(self, node: str, attributes: Attributes) -> str | None:
        """Only what claims to be a mirror of the node's own, and no tenant's. NodeRestriction looks closer, but only once a name
        was found to be free, which is nothing that a node should find out.
        """
        document = attributes.document or {}
        annotations = (document.get("metadata") or {}).get("annotations") or {}
        if MIRROR not in annotations or (document.get("spec") or {}).get("nodeName") != node:
            return "a node may only create mirror pods with spec.nodeName set to itself"
        space = self._namespaces.get("", attributes.namespace) if self._namespaces is not None else None
        if space is None or tenant_of(space.document()["metadata"].get("labels") or {}):
            return "a node may only create mirror pods in namespaces that no tenant has"
        return None

    def _bound(self, node: str, namespace: str, name: str) -> bool:
        """Whether the pod is the node's, or was before it went: agents expect a 404 then. What no pod of theirs was called is
        refused like the pods of others, so that no node finds out by asking which names are taken.
        """
        entry = self._pods.get(namespace, name)
        return self._index.had(node, namespace, name) if entry is None else node_of(entry) == node

    async def _reference(self, node: str, attributes: Attributes) -> str | None:
        name = attributes.name or attributes.field_selector.get("metadata.name", "")
        if attributes.subresource or attributes.verb not in READ_VERBS:
            return f"nodes may only read {attributes.resource}"
        if not attributes.namespace or not name:
            return f"can only read {attributes.resource} that pods bound to the node name, each by its name"
        key = attributes.resource, attributes.namespace, name
        if self._index.names(node, *key):
            return None
        await self._refresh()
        return None if self._index.names(node, *key) else "no relationship found between node and this object"

    async def _storage(self, node: str, attributes: Attributes) -> str | None:
        """Claims that the node's pods name, the volumes behind them, and volumes that are the node's own folders: these it
        follows, and deletes when it has emptied them.
        """
        own = attributes.resource == "persistentvolumes" and attributes.field_selector.get(HOME_FIELD) == node
        if own and attributes.verb in {"list", "watch"} and not attributes.subresource:
            return None
        allowed = ("get", "delete", "patch") if attributes.resource == "persistentvolumes" else ("get",)
        if attributes.subresource or attributes.verb not in allowed or not attributes.name:
            return "can only get individual resources of this type"
        if self._mounts(node, attributes):
            return None
        await self._refresh()
        return None if self._mounts(node, attributes) else "no relationship found between node and this object"

    def _mounts(self, node: str, attributes: Attributes) -> bool:
        if attributes.resource == "persistentvolumeclaims":
            return self._index.names(node, attributes.resource, attributes.namespace, attributes.name)
        volume = self._volumes.get("", attributes.name) if self._volumes is not None else None
        if volume is None:
            return False
        document = volume.document()
        home = home_of(document) == node
        if attributes.verb in {"delete", "patch"}:  # what it may patch, NodeRestriction says: its own finalizer
            return home and is_to_be_emptied(document)
        if home:
            return True
        claim = (document.get("spec") or {}).get("claimRef") or {}
        named = claim.get("namespace", ""), claim.get("name", "")
        return self._index.names(node, "persistentvolumeclaims", *named)

    async def _account(self, node: str, attributes: Attributes) -> str | None:
        """Tokens of the accounts that the node's pods run as. That each is bound to such a pod is checked where it is made."""
        if (attributes.verb, attributes.subresource) != ("create", "token") or not attributes.name:
            return "nodes may only ask for tokens of the service accounts of their pods"
        key = attributes.resource, attributes.namespace, attributes.name
        if self._index.names(node, *key):
            return None
        await self._refresh()
        return None if self._index.names(node, *key) else "no relationship found between node and this object"


def _looks_for_ways(attributes: Attributes) -> bool:
    """Addresses and pod networks of the other nodes are what routes are made of (the role system:node-proxier has them too)."""
    return attributes.resource == "nodes" and not attributes.subresource and attributes.verb in {"list", "watch"}


def _own(node: str, attributes: Attributes) -> str | None:
    name = object_name(attributes) or attributes.field_selector.get("metadata.name", "")
    verb, subresource = attributes.verb, attributes.subresource
    if attributes.resource == "leases":
        in_place = attributes.group == "coordination.k8s.io" and attributes.namespace == LEASE_NAMESPACE
        allowed = in_place and not subresource and verb in _LEASE and name == node
        return None if allowed else f"a node may use its own lease in the namespace {LEASE_NAMESPACE} only"
    if subresource == "status":
        allowed = verb in {"get", "update", "patch"} and name == node
    else:
        allowed = not subresource and verb in _OWN_NODE and name == node
    return None if allowed else "a node may read and change itself only"
