"""ReplicaSets of a Deployment: which one is the new one, how it is named, numbered and annotated.

Source: Kubernetes' ``deployment_util.go`` and ``sync.go``. The hash in the name is our own (Kubernetes hashes Go's memory
layout); what counts is that equal templates have equal names.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from moorage.client.objects import Document, controller_reference
from moorage.controllers.deployment.view import (
    DESIRED,
    HASH_LABEL,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
    DeploymentView,
    ReplicaSetView,
    oldest_first,
)

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' alphabet for generated names: no vowels, no digits that look like them, so that no words come out."""
_HISTORY_LENGTH = 2000
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)


def template_hash(template: Mapping[str, Any], collisions: int = 0) -> str:
    """A short word for a pod template. ``collisions`` gives another word for the same template."""
    data = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
    if collisions:
        data += str(collisions).encode("ascii")
    value = 0x811C9DC5
    for byte in data:  # FNV-1a, 32 bits
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(value))


def same_template(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two pod templates are equal but for the hash label."""
    return _plain(left) == _plain(right)


def new_replica_set(deployment: DeploymentView, sets: Sequence[ReplicaSetView]) -> ReplicaSetView | None:
    """The ReplicaSet of the current template. Of several (after a collision) the oldest, so that everybody picks the same."""
    template = deployment.spec["template"]
    return next((each for each in oldest_first(sets) if same_template(each.template, template)), None)


def next_revision(old: Sequence[ReplicaSetView]) -> int:
    """One above all old revisions."""
    return max((each.revision for each in old), default=0) + 1


def size_annotations(deployment: DeploymentView) -> dict[str, str]:
    """What a ReplicaSet must remember to be scaled in proportion later."""
    return {
        DESIRED: str(deployment.replicas),
        MAX_REPLICAS: str(deployment.replicas + deployment.max_surge),
    }


def new_annotations(deployment: DeploymentView, current: Mapping[str, str], revision: int) -> dict[str, str]:
    """The annotations that the new ReplicaSet is to gain or change; empty where it has them."""
    wanted = {key: value for key, value in deployment.annotations.items() if key not in _NOT_COPIED}
    text = current.get(REVISION, "")
    old = int(text) if text.isdecimal() else 0
    if old < revision:
        wanted[REVISION] = str(revision)
        if text:
            wanted[REVISION_HISTORY] = _history(current.get(REVISION_HISTORY, ""), text)
    return {key: value for key, value in wanted.items() if current.get(key) != value}


def build(deployment: DeploymentView, revision: int, replicas: int, collisions: int) -> Document:
    """The ReplicaSet of the current template."""
    document, spec = deployment.document, deployment.spec
    template = copy.deepcopy(spec["template"])
    word = template_hash(template, collisions)
    template.setdefault("metadata", {}).setdefault("labels", {})[HASH_LABEL] = word
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[HASH_LABEL] = word
    annotations = {**new_annotations(deployment, {}, revision), **size_annotations(deployment)}
    made: Document = {"replicas": replicas, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment.name}-{word}",
            "namespace": document["metadata"]["namespace"],
            "labels": dict(template["metadata"]["labels"]),
            "annotations": annotations,
            "ownerReferences": [controller_reference(document)],
        },
        "spec": made,
    }


def _plain(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template without hash label and without empty leftovers (``creationTimestamp: null`` is one)."""
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _history(history: str, old: str) -> str:
    """``history`` with ``old`` at its end, from the front cut to a length that an annotation can bear."""
    parts = [part for part in history.split(",") if part]
    parts.append(old)
    while len(",".join(parts)) > _HISTORY_LENGTH:
        parts.pop(0)
    return ",".join(parts)
