"""Which volume suits a claim. Pure. Source: Kubernetes' ``component-helpers/storage/volume/pv_helpers.go``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moorage.client.objects import Document, is_deleting, uid_of
from moorage.resources import label_selector, quantity
from moorage.resources.core.access_modes import storage_class_of
from moorage.resources.node_selector import volume_reaches


def asked(claim: Document) -> str:
    """How much the claim asks for."""
    return str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage") or "0")


def capacity(volume: Document) -> str:
    """How much the volume holds."""
    return str((volume["spec"].get("capacity") or {}).get("storage") or "0")


def claim_of(volume: Document) -> dict[str, Any]:
    """The volume's ``claimRef``, empty where it has none."""
    return dict(volume["spec"].get("claimRef") or {})


def is_meant_for(volume: Document, claim: Document) -> bool:
    """Whether the volume is bound to the claim, or was made for one of this name."""
    wanted, metadata = claim_of(volume), claim["metadata"]
    named = (wanted.get("namespace"), wanted.get("name")) == (metadata["namespace"], metadata["name"])
    return named and wanted.get("uid") in (None, "", uid_of(claim))


def why_not(claim: Document, volume: Document) -> str:
    """Why a volume that is named cannot serve the claim, in Kubernetes' words; "" where it can."""
    if quantity.compare(capacity(volume), asked(claim)) < 0:
        return "requested PV is too small"
    if storage_class_of(volume) != storage_class_of(claim):
        return "storageClassName does not match"
    if _mode(volume) != _mode(claim):
        return "incompatible volumeMode"
    if not _has_modes(volume, claim):
        return "incompatible accessMode"
    return ""


def best(claim: Document, volumes: Iterable[Document], *, node: Document | None, delayed: bool) -> Document | None:
    """The volume for a claim that names none: the one made for it, else the smallest that is free and large enough.

    ``delayed``: nothing but the former is chosen before ``node`` is known (``WaitForFirstConsumer``).
    """
    found = None
    for volume in sorted(volumes, key=lambda each: str(each["metadata"]["name"])):
        if is_deleting(volume) or _mode(volume) != _mode(claim) or not _has_modes(volume, claim):
            continue
        if quantity.compare(capacity(volume), asked(claim)) < 0:
            continue
        if claim_of(volume):
            if is_meant_for(volume, claim):
                return volume
            continue
        if (delayed and node is None) or not _is_free_for(volume, claim, node):
            continue
        if found is None or quantity.compare(capacity(volume), capacity(found)) < 0:
            found = volume
    return found


def _is_free_for(volume: Document, claim: Document, node: Document | None) -> bool:
    if (volume.get("status") or {}).get("phase") != "Available" or storage_class_of(volume) != storage_class_of(claim):
        return False
    if volume["spec"].get("volumeAttributesClassName") != claim["spec"].get("volumeAttributesClassName"):
        return False
    selector = claim["spec"].get("selector")
    if selector is not None and not label_selector.matches(selector, volume["metadata"].get("labels")):
        return False
    return node is None or volume_reaches(volume, node)


def _mode(document: Document) -> str:
    return str(document["spec"].get("volumeMode") or "Filesystem")


def _has_modes(volume: Document, claim: Document) -> bool:
    return set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ())
