"""One Application's part of a push: what is applied, what is pruned. Made by ``make``, never changed afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from moorage.api.contracts import Operation
from moorage.resources.gitops import APPLICATION
from moorage.resources.kind import Document
from moorage.resources.registry import Registry
from moorage.store.contracts import Key, Store
from moorage_gitops.host.deploy import live, objects, prune, types
from moorage_gitops.host.deploy.live import Record
from moorage_gitops.host.deploy.objects import Desired, Objects, Owner
from moorage_gitops.host.deploy.problems import Problem, refuse
from moorage_gitops.host.deploy.prune import PrunePlan
from moorage_gitops.host.deploy.source import CommitReader, Reading
from moorage_gitops.host.manifests.limits import ManifestLimits
from moorage_gitops.names import FIELD_MANAGER

MERGE_PATCH = "application/merge-patch+json"
_IN_THREAD = 100
"""Documents; more are looked through in a thread, so that other requests get their turn."""
_HINT = (
    "If a file is no manifest, move the manifests into a folder of their own and name it:",
    '  kubectl patch application NAME --type merge -p \'{"spec": {"path": "deploy"}}\'',
)


@dataclass(frozen=True, slots=True)
class Application:
    """An Application object as far as a push needs it.

    ``branch`` and ``path`` have the repository's values where it names none.
    """

    owner: Owner
    branch: str
    path: str
    prune: bool
    suspend: bool

    @staticmethod
    def of(document: Document, branch: str, path: str) -> Application:
        """From the object, and the repository's branch and path."""
        spec: dict[str, Any] = document.get("spec") or {}
        metadata = document["metadata"]
        return Application(
            Owner(metadata["namespace"], metadata["name"]),
            spec.get("branch") or branch,
            spec.get("path") or path,
            spec.get("prune", True) is not False,
            spec.get("suspend") is True,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a commit means for one application."""

    application: Application
    commit: str
    reading: Reading
    desired: Sequence[Desired]
    pruning: PrunePlan
    applied: Mapping[Key, str]
    """The digests that live objects carry now."""

    def operations(self, digests: Mapping[Key, str]) -> list[Operation]:
        """Applies, namespaces first, then deletions; ``outcome`` reads the results in this order.

        ``digests`` are those that a dry run has shown; before it, objects keep theirs, so that what is unchanged stays so.
        """
        known = digests or self.applied
        return [item.operation(known.get(item.key, "")) for item in self.desired] + [
            Operation(
                verb="delete",
                kind=item.kind,
                namespace=item.namespace,
                name=item.name,
                uid=item.uid,
                propagation="Background",
                field_manager=FIELD_MANAGER,
            )
            for item in self.pruning.remove
        ]


async def make(
    application: Application,
    commit: str,
    reader: CommitReader,
    store: Store,
    registry: Registry,
    options: frozenset[str],
) -> Plan:
    """Read and plan. Raises Refused with every mistake, or where a confirmation is missing."""
    message = await reader.message(commit)
    reading = await reader.read(commit, application.path)
    understand = partial(_understand, reading, registry, application.owner, reader.limits)
    found = await asyncio.to_thread(understand) if len(reading.documents) > _IN_THREAD else understand()
    if found.problems:
        unreadable = any(not problem.subject for problem in found.problems)
        raise refuse(found.problems, _HINT if unreadable else ())
    there = await live.objects_of(store, registry, application.owner)
    records = {item.key: await live.record_of(store, item.kind, item.namespace, item.name) for item in found.desired}
    await _refuse_foreign(found.desired, records, store, application.owner, options)
    pruning = prune.plan(there, {item.key for item in found.desired}, enabled=application.prune)
    if "confirm-prune" not in options and not prune.confirmed(message):
        prune.guard(pruning, len(there), len(found.desired), application.owner.name)
    ordered = sorted(found.desired, key=lambda item: item.kind.kind != "Namespace")
    applied = {key: record.applied for key, record in records.items() if record is not None}
    return Plan(application, commit, reading, ordered, pruning, applied)


def _understand(reading: Reading, registry: Registry, owner: Owner, limits: ManifestLimits) -> Objects:
    found = objects.collect(reading, registry, owner, limits.documents)
    found.problems = [*reading.problems, *found.problems, *_mistyped(found.desired, reading)]
    return found


def _mistyped(desired: Sequence[Desired], reading: Reading) -> Iterator[Problem]:
    for item in desired:
        for path, message in types.check(item.kind, item.document):
            line = item.line(path)
            excerpt = "" if item.kind.sealed else reading.excerpt(item.file, line)
            yield Problem(item.file, line, item.subject, message, excerpt)


async def _refuse_foreign(
    desired: Sequence[Desired],
    records: Mapping[Key, Record | None],
    store: Store,
    owner: Owner,
    options: frozenset[str],
) -> None:
    """Two applications that describe the same object would undo each other with every push."""
    if "adopt" in options:
        return
    applications = await store.cache(APPLICATION.storage)
    problems = []
    for item in desired:
        record = records[item.key]
        other = record.owner if record else owner
        if other != owner and applications.get(other.namespace, other.name) is not None:
            message = (
                f"belongs to application {other.namespace}/{other.name}; "
                "remove it there first, or take it over: git push -o adopt"
            )
            problems.append(Problem(item.file, item.line(""), item.subject, message))
    if problems:
        raise refuse(problems)
