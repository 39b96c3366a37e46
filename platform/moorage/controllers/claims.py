"""Which objects a controller owns: adopts matching orphans, lets go of what no longer matches.

Source: Kubernetes' ``controller_ref_manager.go``. Decided here, done by the caller: a claim is a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from moorage.client import operations
from moorage.client.objects import Document, controller_of, controller_reference, is_deleting, key_of, uid_of
from moorage.client.operations import STRATEGIC_PATCH, Operation
from moorage.client.resource import Resource
from moorage.resources import label_selector


@dataclass(slots=True)
class Claim:
    """``owned`` match and are ours; ``adopt`` match and have no controller; ``release`` are ours and do not match."""

    owned: list[Document] = field(default_factory=list)
    adopt: list[Document] = field(default_factory=list)
    release: list[Document] = field(default_factory=list)


def claim(owner: Document, candidates: Iterable[Document]) -> Claim:
    """Sort ``candidates`` (of the owner's namespace) by what ``owner`` is to do with them. An owner that is being deleted
    neither adopts nor releases.
    """
    result = Claim()
    uid, deleting = uid_of(owner), is_deleting(owner)
    selector = owner["spec"].get("selector")
    for document in candidates:
        reference = controller_of(document)
        matches = label_selector.matches(selector, document["metadata"].get("labels"))
        if reference is not None:
            if reference["uid"] != uid:
                continue
            if matches:
                result.owned.append(document)
            elif not deleting:
                result.release.append(document)
        elif matches and not deleting and not is_deleting(document):
            result.adopt.append(document)
    return result


def adoption(resource: Resource, owner: Document, document: Document) -> Operation:
    """Make ``owner`` the controller of ``document``, if that is still the object with this uid."""
    change = {"metadata": {"uid": uid_of(document), "ownerReferences": [controller_reference(owner)]}}
    namespace, name = key_of(document)
    return operations.patch(resource, namespace, name, change, patch_type=STRATEGIC_PATCH)


def release(resource: Resource, owner: Document, document: Document) -> Operation:
    """Take ``owner`` out of the owners of ``document``."""
    gone = {"$patch": "delete", "uid": uid_of(owner)}
    change = {"metadata": {"uid": uid_of(document), "ownerReferences": [gone]}}
    namespace, name = key_of(document)
    return operations.patch(resource, namespace, name, change, patch_type=STRATEGIC_PATCH)
