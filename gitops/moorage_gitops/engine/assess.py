"""How an application fares: its objects' health, and whether they are still what Git said. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from moorage_gitops.engine.health import HEALTHY, RANK, Document, Health, Status, health, pod_trouble
from moorage_gitops.names import APPLIED_ANNOTATION, FIELD_MANAGER
from moorage_gitops.ownership import digest

LISTED = 100
"""Objects in an application's status (its schema says so too)."""
_MESSAGE = 500
_NOT_CONTENT = frozenset({"f:metadata", "f:status"})


class Identity(NamedTuple):
    """An object of an application, as its status lists it."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Assessment(NamedTuple):
    """What goes into the application's status."""

    sync: Status | str
    sync_message: str
    health: Health
    resources: list[dict[str, Any]] | None


def identity_of(document: Document) -> Identity:
    """Of a live object."""
    group, _, version = str(document["apiVersion"]).rpartition("/")
    metadata = document["metadata"]
    return Identity(group, version, str(document["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"]))


def assess(application: Document, live: Sequence[Document], pods: Sequence[Document]) -> Assessment:
    """The status that ``application`` should have. ``pods`` are those of its namespaces, for the reason behind a slow rollout."""
    status = application.get("status") or {}
    found = {identity_of(document)._replace(version=""): document for document in live}
    expected = [_listed(entry) for entry in status.get("resources") or ()]
    count = int(status.get("resourceCount") or 0)
    healths = {identity_of(document): _health(document, pods) for document in live}
    if count == len(expected):
        for identity in expected:
            if identity._replace(version="") not in found:
                healths[identity] = Health(Status.MISSING, "was deleted outside Git")
        listed: Sequence[Identity] = expected
    else:
        listed = []
    missing = max(count - len(found), 0)
    drifted = [document for document in live if changed(document)]
    return Assessment(
        *_sync(
            status, [identity for identity in healths if healths[identity].status is Status.MISSING], missing, drifted
        ),
        _worst(healths, missing),
        _resources(healths, listed),
    )


def changed(document: Document) -> bool:
    """Whether somebody took fields from Git since they were applied."""
    applied = (document["metadata"].get("annotations") or {}).get(APPLIED_ANNOTATION)
    return bool(applied) and digest(dict(document)) != applied


def who_changed(document: Document) -> str:
    """The managers that may have taken fields: who owns more than metadata and status, latest first."""
    others = [
        entry
        for entry in document["metadata"].get("managedFields") or ()
        if entry.get("manager") != FIELD_MANAGER and (entry.get("fieldsV1") or {}).keys() - _NOT_CONTENT
    ]
    names = [
        str(entry.get("manager")) for entry in sorted(others, key=lambda entry: str(entry.get("time")), reverse=True)
    ]
    return ", ".join(dict.fromkeys(names))


def _sync(
    status: Mapping[str, Any], missing: Sequence[Identity], missing_count: int, drifted: Sequence[Document]
) -> tuple[str, str]:
    if not status.get("revision"):
        return "Unknown", "nothing was pushed yet"
    reasons: list[str] = []
    reasons += [f"{identity} was deleted outside Git" for identity in missing[:3]]
    if missing_count > len(reasons):
        reasons.append(f"{missing_count} objects are missing")
    for document in drifted[:3]:
        by = who_changed(document)
        reasons.append(f"{identity_of(document)} was changed outside Git" + (f" by {by}" if by else ""))
    if len(drifted) > 3:
        reasons.append(f"{len(drifted) - 3} more were changed")
    if not reasons:
        return "Synced", ""
    return "OutOfSync", f"{'; '.join(reasons)[:_MESSAGE]}; push again to restore (git commit --allow-empty)"


def _health(document: Document, pods: Sequence[Document]) -> Health:
    found = health(document)
    if found.status is Status.PROGRESSING and document.get("kind") in ("Deployment", "ReplicaSet"):
        trouble = next(_troubles(document, pods), "")
        if trouble:
            return Health(found.status, f"{found.message}; {trouble}"[:_MESSAGE])
    return found


def _troubles(workload: Document, pods: Sequence[Document]) -> Iterator[str]:
    labels = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    namespace = workload["metadata"].get("namespace")
    for pod in pods:
        metadata = pod["metadata"]
        own = metadata.get("labels") or {}
        if (
            metadata.get("namespace") == namespace
            and labels
            and all(own.get(key) == value for key, value in labels.items())
        ):
            trouble = pod_trouble(pod)
            if trouble:
                yield f"pod {metadata['name']}: {trouble}"


def _worst(healths: Mapping[Identity, Health], missing: int) -> Health:
    bad = sorted(
        ((identity, found) for identity, found in healths.items() if found.status is not Status.HEALTHY),
        key=lambda pair: (-RANK[pair[1].status], pair[0]),
    )
    if not bad:
        return Health(Status.MISSING, f"{missing} objects are missing") if missing else HEALTHY
    identity, found = bad[0]
    message = f"{identity}: {found.message}" if found.message else str(identity)
    if len(bad) > 1:
        message += f" (and {len(bad) - 1} more)"
    return Health(found.status, message[:_MESSAGE])


def _resources(healths: Mapping[Identity, Health], listed: Sequence[Identity]) -> list[dict[str, Any]] | None:
    """The objects in the order of the push while they are few; of many, those that are not healthy."""
    by_name = {identity._replace(version=""): found for identity, found in healths.items()}
    if listed:
        chosen = [(identity, by_name.get(identity._replace(version=""), HEALTHY)) for identity in listed]
    else:
        bad = [(identity, found) for identity, found in healths.items() if found.status is not Status.HEALTHY]
        chosen = sorted(bad, key=lambda pair: (-RANK[pair[1].status], pair[0]))[:LISTED]
    return [_entry(identity, found) for identity, found in chosen] or None


def _entry(identity: Identity, found: Health) -> dict[str, Any]:
    entry = {**identity._asdict(), "health": str(found.status), "message": found.message}
    return {key: value for key, value in entry.items() if value or key == "group"}


def _listed(entry: Mapping[str, Any]) -> Identity:
    return Identity(*(str(entry.get(name) or "") for name in Identity._fields))
