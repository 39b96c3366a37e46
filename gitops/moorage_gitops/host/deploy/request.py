"""The one transaction of a push: objects, deletions, the status of Application and Repository, and the ref rows."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from moorage.api.contracts import Operation, TransactionRequest
from moorage.resources.gitops import APPLICATION, REPOSITORY
from moorage.resources.kind import Document, Kind
from moorage.store.contracts import Key, RefUpdate
from moorage_gitops.host.deploy.outcome import Counts, Effect
from moorage_gitops.host.deploy.plan import MERGE_PATCH, Plan
from moorage_gitops.host.http.access import Caller, Hosted
from moorage_gitops.names import FIELD_MANAGER

_KEPT_EFFECTS = 1_000
_LISTED = 100
RESULT_VERSION = 1


@dataclass(frozen=True, slots=True)
class RefChange:
    """A ref row's compare-and-swap. ``old`` is the row's value, "" for none; ``new`` is "" for a deletion."""

    ref: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Context:
    """What all requests of one push share."""

    hosted: Hosted
    caller: Caller
    url: str
    started: datetime.datetime


def build(
    context: Context,
    plans: Sequence[Plan],
    refs: Sequence[RefChange],
    found: Sequence[Sequence[Effect]],
    counts: Sequence[Counts],
    digests: Mapping[Key, str],
    *,
    dry_run: bool,
) -> TransactionRequest:
    """The request. ``found``, ``counts`` and ``digests`` are what a dry run has shown; empty in the dry run itself."""
    now = datetime.datetime.now(datetime.UTC)
    operations = [operation for plan in plans for operation in plan.operations(digests)]
    for plan, count in zip(plans, counts, strict=False):
        operations.append(
            _status(APPLICATION, plan.application.owner.name, context, _application(plan, count, context, now))
        )
    deployed = [change for change in refs if change.ref == f"refs/heads/{context.hosted.branch}" and change.new]
    if deployed and not dry_run:
        status = {
            "url": context.url,
            "revision": deployed[0].new,
            "lastPushTime": _time(now),
            "lastPusher": context.caller.identity.name,
            "observedGeneration": context.hosted.document["metadata"].get("generation", 1),
        }
        operations.append(_status(REPOSITORY, context.hosted.name, context, status))
    return TransactionRequest(
        operations=operations,
        refs=[] if dry_run else [_ref(context, change, plans, found) for change in refs],
        dry_run=dry_run,
        field_manager=FIELD_MANAGER,
        source_commit=plans[0].commit if plans else (refs[0].new if refs else ""),
        request_id=context.caller.request_id,
        client=context.caller.client,
    )


def _application(plan: Plan, counts: Counts, context: Context, now: datetime.datetime) -> Document:
    text = (
        f"{counts.created} created, {counts.configured} changed, {counts.unchanged} unchanged, {counts.pruned} removed"
    )
    return {
        "revision": plan.commit,
        "sync": {
            "status": "Synced",
            "revision": plan.commit,
            "message": f"pushed by {context.caller.identity.name}",
            "syncedAt": _time(now),
        },
        "health": {"status": "Progressing", "message": "just applied"},
        "resourceCount": len(plan.desired),
        "resources": _resources(plan),
        "operation": {
            "phase": "Succeeded",
            "revision": plan.commit,
            "message": text,
            "startedAt": _time(context.started),
            "finishedAt": _time(now),
            "created": counts.created,
            "changed": counts.configured,
            "unchanged": counts.unchanged,
            "removed": counts.pruned,
        },
    }


def _resources(plan: Plan) -> list[Document] | None:
    """The objects by name while they are few; of many, the engine lists those that are worth a look."""
    if len(plan.desired) > _LISTED:
        return None
    return [
        {
            "group": item.kind.group,
            "version": item.kind.version,
            "kind": item.kind.kind,
            **({"namespace": item.namespace} if item.namespace else {}),
            "name": item.name,
        }
        for item in plan.desired
    ]


def _status(kind: Kind, name: str, context: Context, status: Document) -> Operation:
    return Operation(
        verb="patch",
        kind=kind,
        namespace=context.hosted.namespace,
        name=name,
        subresource="status",
        patch={"status": status},
        patch_type=MERGE_PATCH,
        field_manager=FIELD_MANAGER,
    )


def _ref(context: Context, change: RefChange, plans: Sequence[Plan], found: Sequence[Sequence[Effect]]) -> RefUpdate:
    applications = {
        f"{plan.application.owner.namespace}/{plan.application.owner.name}": [
            f"{effect.action} {effect.subject}" for effect in these if effect.action != "unchanged"
        ][:_KEPT_EFFECTS]
        for plan, these in zip(plans, found, strict=False)
        if plan.commit == change.new
    }
    result = {
        "version": RESULT_VERSION,
        "pusher": context.caller.identity.name,
        "requestId": context.caller.request_id,
        "applications": applications,
    }
    text = orjson.dumps(result).decode()
    hosted = context.hosted
    return RefUpdate(hosted.uid, change.ref, change.old, change.new, text, hosted.namespace, hosted.name)


def _time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
