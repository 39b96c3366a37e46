"""Writes the hash of what a workload refers to into its pod template, with every write of the workload itself.

The hash is keyed (HMAC-SHA256, RFC 2104) with a key that only the platform's servers can derive: who reads a Deployment can
try no values against it. It is taken of the values as the write sees them, so a template never claims to be newer than what its
pods will read; where it is older, the controller has the workload written once more.
See docs/decisions/the-server-hashes-what-rolls-out.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from moorage.api.contracts import AdmissionRequest, View
from moorage.resources.core.configmaps import CONFIG_MAP
from moorage.resources.core.secrets import SECRET
from moorage.resources.kind import Document, FieldError, Kind
from moorage.resources.rollout import CONFIG_MAPS, HASH, SECRETS, Reference, references

PURPOSE = b"rollout hashes"
WORKLOADS = frozenset({("apps", "deployments"), ("apps", "statefulsets"), ("apps", "daemonsets")})
_KINDS: Mapping[str, Kind] = {SECRETS: SECRET, CONFIG_MAPS: CONFIG_MAP}
_DIGITS = 32


class RolloutHashes:
    """Implements ``moorage.api.contracts.Admission``. ``key`` gives the key of the hashes."""

    def __init__(self, key: Callable[[], Awaitable[bytes]]) -> None:
        self._make_key = key
        self._key = b""

    async def mutate(self, request: AdmissionRequest) -> None:
        """Put the hash in. One that is there is left where nothing is watched any more: taking it away would roll out."""
        workload = request.document
        if (request.kind.group, request.kind.plural) not in WORKLOADS or request.subresource or workload is None:
            return
        found = references(workload)
        if not found:
            return
        self._key = self._key or await self._make_key()
        values = await _values(request.view, request.namespace, found)
        template: Document = workload["spec"]["template"]
        metadata = template.get("metadata") or {}
        annotations = {**(metadata.get("annotations") or {}), HASH: digest(self._key, request.namespace, values)}
        template["metadata"] = {**metadata, "annotations": annotations}

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """Nothing is forbidden."""
        return ()


def digest(key: bytes, namespace: str, values: Mapping[Reference, Any]) -> str:
    """The hash of ``values``, for this namespace only."""
    text = orjson.dumps([namespace, sorted((*reference, value) for reference, value in values.items())])
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:_DIGITS]


async def _values(view: View, namespace: str, found: frozenset[Reference]) -> dict[Reference, str]:
    """What each reference stands for, as canonical JSON; "null" for what is not there (yet)."""
    documents: dict[tuple[str, str], Document | None] = {}
    for resource, name in {each[:2] for each in found}:
        entry = await view.get(_KINDS[resource], namespace, name)
        documents[resource, name] = None if entry is None else entry.document()
    return {each: _canonical(_part(documents[each.resource, each.name], each.key)) for each in found}


def _part(document: Document | None, key: str) -> Any:
    if document is None:
        return None
    parts = [document.get("data") or {}, document.get("binaryData") or {}]
    return parts if not key else next((part[key] for part in parts if key in part), None)


def _canonical(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
