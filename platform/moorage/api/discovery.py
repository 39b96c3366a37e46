"""Discovery: which groups, versions and resources are served.

* ``document(registry, path, aggregated=False)`` -> the document at ``/api``, ``/apis``, ``/api/v1``, ``/apis/G`` or
  ``/apis/G/V``, or None. ``aggregated`` (negotiated) asks for the one document of all below ``/api`` or ``/apis``.
* ``etag(document)`` -> a strong ETag: clients send it back in If-None-Match and are spared the document.

Documents are made again when the registry changes. Source: apiserver's discovery and KEP-3352.
"""

from __future__ import annotations

import base64
import hashlib
import re
import weakref
from collections.abc import Iterable
from typing import Any, Final

import orjson

from moorage.resources.kind import Document, GroupVersionKind, Kind
from moorage.resources.registry import Registry

# kube-apiserver's order of groups: kubectl takes the first that has a resource of the name it was given.
_GROUP_ORDER: Final = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)
_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGES: Final = {None: 2, "beta": 1, "alpha": 0}

_cache: weakref.WeakKeyDictionary[Registry, tuple[int, dict[tuple[str, bool], Document | None]]] = (
    weakref.WeakKeyDictionary()
)


def document(registry: Registry, path: str, aggregated: bool = False, version: str = "v2") -> Document | None:
    """The discovery document at ``path``; None where there is none. Callers must not change it."""
    known = _cache.get(registry)
    if known is None or known[0] != registry.generation:
        known = _cache[registry] = (registry.generation, {})
    whole = aggregated and path in ("/api", "/apis")
    wanted = (f"{path} {version}" if whole else path, whole)
    documents = known[1]
    if wanted not in documents:
        if len(documents) > 256:  # paths that are not served are remembered too, but not without end
            documents.clear()
        documents[wanted] = _aggregated(registry, path, version) if whole else _at(registry, path)
    return documents[wanted]


def etag(value: Document) -> str:
    """The ETag of a document, quotes included."""
    return '"' + hashlib.sha512(orjson.dumps(value)).hexdigest().upper() + '"'


def groups(registry: Registry) -> dict[str, list[str]]:
    """Groups with their versions, both in the order in which clients prefer them."""
    found: dict[str, set[str]] = {}
    for kind in registry:
        found.setdefault(kind.group, set()).add(kind.version)
    ordered = sorted(found, key=lambda group: (_place(group), group))
    return {group: sorted(found[group], key=version_priority, reverse=True) for group in ordered}


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key: v2 > v1 > v1beta2 > v1alpha1 > everything else."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0, version)
    return (_STAGES[match.group(2)], int(match.group(1)), int(match.group(3) or 0), "")


def storage_hash(kind: Kind) -> str:
    """``storageVersionHash``: changes where objects come to be stored as another version or kind."""
    identity = f"{kind.storage.group}/{kind.version}/{kind.kind}"
    return base64.b64encode(hashlib.sha256(identity.encode()).digest()[:8]).decode()


def _place(group: str) -> int:
    return _GROUP_ORDER.index(group) if group in _GROUP_ORDER else len(_GROUP_ORDER)


def _at(registry: Registry, path: str) -> Document | None:
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["api"]:
            return _core_versions(registry)
        case ["apis"]:
            names = [group for group in groups(registry) if group]
            entries = [_group(registry, group) for group in names]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": entries}
        case ["api", version]:
            return _resources(registry, "", version)
        case ["apis", group] if group in groups(registry):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(registry, group)}
        case ["apis", group, version]:
            return _resources(registry, group, version)
    return None


def _core_versions(registry: Registry) -> Document:
    return {
        "kind": "APIVersions",
        "versions": groups(registry).get("", []),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
    }


def _group(registry: Registry, group: str) -> Document:
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version} for version in groups(registry).get(group, [])
    ]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _kinds(registry: Registry, group: str, version: str) -> list[Kind]:
    found = [kind for kind in registry if kind.group == group and kind.version == version]
    return sorted(found, key=lambda kind: kind.plural)


def _resources(registry: Registry, group: str, version: str) -> Document | None:
    kinds = _kinds(registry, group, version)
    if not kinds:
        return None
    resources: list[Document] = []
    for kind in kinds:
        resources.append(_resource(kind))
        resources.extend(_subresources(kind))
    head: Document = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": resources}


def _resource(kind: Kind) -> Document:
    resource: Document = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": sorted(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if "get" in kind.verbs:
        resource["storageVersionHash"] = storage_hash(kind)
    return resource


def _subresources(kind: Kind) -> Iterable[Document]:
    for name, subresource in sorted(kind.subresources.items()):
        resource: Document = {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": subresource.kind.kind,
            "verbs": sorted(subresource.verbs),
        }
        if (subresource.kind.group, subresource.kind.version) != (kind.group, kind.version):
            resource["group"] = subresource.kind.group
            resource["version"] = subresource.kind.version
        yield resource


def _aggregated(registry: Registry, path: str, version: str) -> Document:
    """Every group, version and resource below ``/api`` or ``/apis`` in one document."""
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [_aggregated_version(registry, group, each) for each in versions],
        }
        for group, versions in groups(registry).items()
        if bool(group) == (path == "/apis")
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_version(registry: Registry, group: str, version: str) -> Document:
    resources = [_aggregated_resource(kind) for kind in _kinds(registry, group, version)]
    return {"version": version, "resources": resources, "freshness": "Current"}


def _aggregated_resource(kind: Kind) -> Document:
    resource: Document = {
        "resource": kind.plural,
        "responseKind": _response_kind(kind.gvk),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": sorted(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.subresources:
        resource["subresources"] = [
            {
                "subresource": name,
                "responseKind": _response_kind(subresource.kind),
                "verbs": sorted(subresource.verbs),
            }
            for name, subresource in sorted(kind.subresources.items())
        ]
    return resource


def _response_kind(gvk: GroupVersionKind) -> dict[str, Any]:
    return {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}
