"""Which pods a node may create: mirrors that show what it runs from files of its own, and no others.

A mirror names nothing of the API, so that no node gives itself a pod by which it may read a Secret. It stands in no namespace of
a tenant either: its labels could else draw the traffic of the tenant's Services to the node.
Source: ``admitPodCreate`` of Kubernetes' NodeRestriction admission, in its words; the rule on tenants is this platform's.
"""

from __future__ import annotations

from typing import Any

from moorage.api.contracts import AdmissionRequest
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.core.nodes import NODE
from moorage.resources.core.pods.prepare import MIRROR
from moorage.resources.kind import Document
from moorage.resources.tenancy import tenant_of
from moorage_tenants.pod_index import named

_WORDS = {
    "serviceaccounts": "a service account",
    "secrets": "secrets",
    "configmaps": "configmaps",
    "persistentvolumeclaims": "persistentvolumeclaims",
}


async def mirror_refusal(node: str, request: AdmissionRequest, pod: Document) -> str:
    """Why ``node`` may not create ``pod``; "" where it may."""
    who = f'node "{node}"'
    if MIRROR not in (pod["metadata"].get("annotations") or {}):
        return f'pod does not have "{MIRROR}" annotation, {who} can only create mirror pods'
    spec = pod.get("spec") or {}
    if spec.get("nodeName") != node:
        return f"{who} can only create pods with spec.nodeName set to itself"
    return (
        await _of_owner(node, who, request, pod["metadata"].get("ownerReferences") or [])
        or _of_references(who, spec)
        or await _of_tenant(who, request)
    )


async def _of_owner(node: str, who: str, request: AdmissionRequest, owners: list[dict[str, Any]]) -> str:
    if len(owners) > 1:
        return f"{who} can only create pods with a single owner reference set to itself"
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        return f"{who} can only create pods with an owner reference set to itself"
    if not owner.get("controller"):
        return f"{who} can only create pods with a controller owner reference set to itself"
    if owner.get("blockOwnerDeletion"):
        return f"{who} must not set blockOwnerDeletion on an owner reference"
    entry = await request.view.get(NODE, "", node)
    if entry is None:
        return f'nodes "{node}" not found'
    if owner.get("uid") != entry.uid:
        return f"node {node} UID mismatch: expected {owner.get('uid')} got {entry.uid}"
    return ""


def _of_references(who: str, spec: Document) -> str:
    """What is named, the first in the order of Kubernetes' checks."""
    found = {resource for resource, name in named(spec) if name}
    refused = next((words for resource, words in _WORDS.items() if resource in found), "")
    sources = [
        one for volume in spec.get("volumes") or () for one in (volume.get("projected") or {}).get("sources") or ()
    ]
    if not refused and any(one.get("clusterTrustBundle") for one in sources):
        refused = "clustertrustbundles"
    if not refused and any(one.get("serviceAccountToken") for one in sources):
        refused = "a service account"
    if not refused and any(volume.get("ephemeral") for volume in spec.get("volumes") or ()):
        refused = "persistentvolumeclaims"
    if not refused and spec.get("resourceClaims"):
        refused = "resourceclaims"
    return f"{who} can not create pods that reference {refused}" if refused else ""


async def _of_tenant(who: str, request: AdmissionRequest) -> str:
    entry = await request.view.get(NAMESPACE, "", request.namespace)
    tenant = tenant_of(entry.document()["metadata"].get("labels") or {}) if entry is not None else ""
    if not tenant:
        return ""
    return f'{who} can not create mirror pods in namespace "{request.namespace}" of tenant "{tenant}": its pods are the tenant\'s'
