"""What a terminating namespace says about its contents.

Source: Kubernetes' ``namespace/deletion/status_condition_utils.go``: the same types, reasons and sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moorage.client.objects import Document, timestamp


@dataclass(slots=True)
class Remains:
    """What one pass over a namespace found. ``left`` and ``finalizers`` count objects, by ``pods.`` or ``deployments.apps``
    and by finalizer.
    """

    discovery_error: str = ""
    delete_errors: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Nothing is left, and nothing is unknown."""
        return not (self.discovery_error or self.delete_errors or self.left)


def conditions(old: Sequence[Document], found: Remains, now: float) -> list[Document]:
    """The conditions after a pass; one whose status does not change keeps its transition time."""
    wanted = [
        _entry(
            "NamespaceDeletionDiscoveryFailure",
            "DiscoveryFailed",
            f"Discovery failed for some groups: {found.discovery_error}" if found.discovery_error else "",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        _entry(
            "NamespaceDeletionGroupVersionParsingFailure",
            "GroupVersionParsingFailed",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _entry(
            "NamespaceDeletionContentFailure",
            "ContentDeletionFailed",
            "Failed to delete all resource types, "
            f"{len(found.delete_errors)} remaining: {', '.join(sorted(found.delete_errors))}"
            if found.delete_errors
            else "",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        _entry(
            "NamespaceContentRemaining",
            "SomeResourcesRemain",
            _counted("Some resources are remaining: ", "{} has {} resource instances", found.left),
            "ContentRemoved",
            "All content successfully removed",
        ),
        _entry(
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain",
            _counted(
                "Some content in the namespace has finalizers remaining: ",
                "{} in {} resource instances",
                found.finalizers,
            ),
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ]
    before = {entry.get("type"): entry for entry in old}
    result = [entry for entry in old if entry.get("type") not in {each["type"] for each in wanted}]
    for entry in wanted:
        standing = before.get(entry["type"])
        same = standing is not None and standing.get("status") == entry["status"]
        since = standing.get("lastTransitionTime") if same and standing else timestamp(now)
        result.append({**entry, "lastTransitionTime": since})
    return result


def _entry(kind: str, bad_reason: str, bad: str, good_reason: str, good: str) -> Document:
    return {
        "type": kind,
        "status": "True" if bad else "False",
        "reason": bad_reason if bad else good_reason,
        "message": bad or good,
    }


def _counted(head: str, form: str, counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    return head + ", ".join(form.format(name, count) for name, count in sorted(counts.items()))
