"""From a manifest file to the pod that a node runs of it. Pure.

Source: ``pkg/kubelet/config/common.go``: the name gets the node's, the uid is a hash of the manifest, and what names other
objects of the API is refused, since a static pod needs nothing but its node.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import yaml

from moorage.resources.core.pods.amounts import qos_class
from moorage.resources.core.pods.declaration import POD
from moorage.resources.core.pods.prepare import MIRROR

Document = dict[str, Any]

SOURCE, HASH, SEEN = "kubernetes.io/config.source", "kubernetes.io/config.hash", "kubernetes.io/config.seen"
LARGEST = 10 * 2**20
"""Bytes of a manifest; the kubelet's limit."""
_EVERY_TAINT = {"operator": "Exists", "effect": "NoExecute"}


class ManifestError(ValueError):
    """A file is no pod that this node can run. The text says why."""


class Manifest(NamedTuple):
    """A static pod, and what tells that its file has changed."""

    pod: Document
    digest: str


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: words that look like dates or times of day stay strings."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")
    ]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0|[1-9][0-9]*|0o?[0-7]+|0x[0-9a-fA-F]+)$"),
    list("-+0123456789"),
)


def read(data: bytes, path: str, node: str, now: float) -> Manifest:
    """The pod of the file ``path`` with this content, as ``node`` runs it from ``now`` on (seconds). Raises ManifestError."""
    document = _parsed(data)
    plain = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(b"host:%b file:%b " % (node.encode(), path.encode()) + plain).hexdigest()[:32]
    metadata = document.setdefault("metadata", {})
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise ManifestError("invalid pod: name is needed for the pod")
    _check_shape(document)
    pod = _completed(document, digest, node, now)
    problem = _reference(pod["spec"])
    if problem:
        raise ManifestError(f"static pods may not reference {problem}")
    return Manifest(pod, digest)


def _parsed(data: bytes) -> Document:
    if len(data) > LARGEST:
        raise ManifestError(f"it is longer than {LARGEST} bytes")
    try:
        document = yaml.load(data, Loader=_Loader)  # noqa: S506 - a loader that makes plain values only
        orjson.dumps(document)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError, RecursionError) as error:
        raise ManifestError(f"it cannot be read as YAML or JSON: {error}") from error
    if not isinstance(document, dict):
        raise ManifestError("it holds no object, but must hold one pod")
    kind = document.get("apiVersion"), document.get("kind")
    if kind != ("v1", "Pod"):
        raise ManifestError(f"invalid pod: it is {kind[1]!r} of {kind[0]!r}, and must be of kind Pod, apiVersion v1")
    return document


def _check_shape(document: Document) -> None:
    """Bring the pod into the form that the API would store. The definitions come with the package of the server; a node that has
    the agent alone relies on the rules, and on the API, which refuses the mirror of what is no pod.
    """
    if importlib.util.find_spec("kubernetes_validate") and importlib.util.find_spec("jsonschema_rs"):
        from moorage.resources.schemas import decoding  # 10 MB, which only a node with static pods needs

        found = decoding.normalise(POD, document)
        if found.errors:
            raise ManifestError(decoding.cannot_be_handled(POD, found.errors[0]))


def _completed(document: Document, digest: str, node: str, now: float) -> Document:
    """Defaults, name, uid, annotations; then the rules of pods. Raises ManifestError."""
    try:
        POD.default(document)
        metadata, spec = document["metadata"], document.setdefault("spec", {})
        metadata["name"] = f"{metadata['name']}-{node.lower()}"
        metadata.setdefault("namespace", "default")
        uid = str(metadata.get("uid") or digest)
        metadata["uid"] = uid
        annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != MIRROR}
        metadata["annotations"] = {**annotations, HASH: uid, SEEN: _nanoseconds(now), SOURCE: "file"}
        spec["nodeName"] = node
        tolerations = spec.get("tolerations") or []
        spec["tolerations"] = tolerations if _EVERY_TAINT in tolerations else [*tolerations, dict(_EVERY_TAINT)]
        problems = [str(error) for error in POD.validate(document)]
        document["status"] = {"phase": "Pending", "qosClass": qos_class(document)}
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise ManifestError(f"invalid pod: a field is not of the type that it must have: {error}") from error
    if problems:
        raise ManifestError(f"invalid pod: [{', '.join(problems)}]")
    return document


def _nanoseconds(now: float) -> str:
    """RFC 3339 with nanoseconds, as the kubelet writes when it has seen a pod first."""
    moment = datetime.fromtimestamp(now, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond * 1000:09d}Z"


def _reference(spec: Mapping[str, Any]) -> str:
    """Plural of the first kind of object that the pod names, "" for none (``HasAPIObjectReference``)."""
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        return "serviceaccounts"
    if spec.get("imagePullSecrets"):
        return "secrets"
    containers = [
        one for part in ("initContainers", "containers", "ephemeralContainers") for one in spec.get(part) or ()
    ]
    environment = [one for container in containers for one in container.get("envFrom") or ()]
    environment += [one.get("valueFrom") or {} for container in containers for one in container.get("env") or ()]
    sources = [
        one for volume in spec.get("volumes") or () for one in (volume.get("projected") or {}).get("sources") or ()
    ]
    parts = [*environment, *(spec.get("volumes") or ()), *sources]
    for resource, fields in _NAMED.items():
        if any(part.get(field) is not None for part in parts for field in fields):
            return resource
    return "resourceclaims" if spec.get("resourceClaims") else ""


_NAMED = {
    "secrets": ("secretRef", "secretKeyRef", "secret"),
    "configmaps": ("configMapRef", "configMapKeyRef", "configMap"),
    "persistentvolumeclaims": ("persistentVolumeClaim", "ephemeral"),
    "serviceaccounts": ("serviceAccountToken",),
    "clustertrustbundles": ("clusterTrustBundle",),
}
