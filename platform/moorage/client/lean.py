"""Cutting pods down for caches that hold thousands of them."""

from __future__ import annotations

from moorage.client.objects import Document

_OF_THE_NODE = ("imagePullSecrets", "securityContext", "dnsConfig", "hostAliases")
_OF_A_CONTAINER = ("name", "resources", "ports", "restartPolicy")


def lean_pod(pod: Document) -> Document:
    """A transform that drops what only the pod's node needs (environment, volumes but claims, probes, images).

    Metadata (but managedFields and kubectl's copy), what scheduling reads of the spec, and the status stay.
    """
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    metadata.pop("managedFields", None)
    (metadata.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    for field in _OF_THE_NODE:
        spec.pop(field, None)
    claims = [
        each for each in spec.pop("volumes", None) or () if "persistentVolumeClaim" in each or "ephemeral" in each
    ]
    if claims:
        spec["volumes"] = claims
    for part in ("containers", "initContainers"):
        if spec.get(part):
            spec[part] = [{field: each[field] for field in _OF_A_CONTAINER if field in each} for each in spec[part]]
    return pod
