"""Definitions of kinds of our own, in the form of the published set."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources.schemas.own_metrics import METRICS_DEFINITIONS
from moorage.resources.schemas.own_network import NETWORK_DEFINITIONS
from moorage.resources.schemas.own_secrets import SECRETS_DEFINITIONS
from moorage.resources.schemas.own_tenancy import TENANCY_DEFINITIONS
from moorage.resources.schemas.shapes import (
    META,
    Schema,
    array,
    flag,
    integer,
    kind,
    kind_list,
    reference,
    structure,
    text,
)

_GITOPS = "io.moorage.gitops.v1"
_MOORAGE = "io.moorage.v1"

_CONDITIONS = array(f"{META}.Condition", "The latest observations of the object's state.", "type")

_GITOPS_DEFINITIONS: dict[str, Schema] = {
    f"{_GITOPS}.RepositorySpec": structure(
        "What a hosted Git repository is like.",
        {
            "description": text("What the repository is for, in a sentence."),
            "deployBranch": text("The branch whose pushes are deployed. Defaults to main."),
            "path": text("The folder of the tree that holds the manifests; the whole tree where it is empty."),
            "plainSecrets": text(
                "What happens to a push that contains a Secret in the clear: refuse, warn or allow. Defaults to what the "
                "tenant says, and to refuse; where both say something, the stricter holds."
            ),
        },
    ),
    f"{_GITOPS}.RepositoryStatus": structure(
        "What was last seen of a repository.",
        {
            "url": text("The URL to push to and to clone from."),
            "revision": text("The commit that the deploy branch points to."),
            "lastPushTime": reference(f"{META}.Time", "When the deploy branch last moved."),
            "lastPusher": text("Who moved it."),
            "observedGeneration": integer("The generation that this status is about.", "int64"),
            "conditions": _CONDITIONS,
        },
    ),
    f"{_GITOPS}.Repository": kind(
        "gitops.moorage.io",
        "Repository",
        "A Git repository hosted by the platform. Pushing to its deploy branch deploys.",
        {
            "spec": reference(f"{_GITOPS}.RepositorySpec", "The desired state."),
            "status": reference(f"{_GITOPS}.RepositoryStatus", "The observed state."),
        },
    ),
    f"{_GITOPS}.RepositoryList": kind_list("gitops.moorage.io", "Repository", f"{_GITOPS}.Repository"),
    f"{_GITOPS}.ApplicationSpec": structure(
        "What is deployed, from where.",
        {
            "repository": text("The Repository in the same namespace that the manifests come from."),
            "branch": text("The branch that is deployed; the repository's deploy branch where it is empty."),
            "path": text("The folder of the tree that holds the manifests; the repository's where it is empty."),
            "prune": flag("Whether objects that left the tree are deleted. Defaults to true."),
            "suspend": flag("Whether pushes are kept from being applied."),
        },
    ),
    f"{_GITOPS}.ApplicationSyncStatus": structure(
        "How the live state compares with a commit.",
        {
            "status": text("Synced, OutOfSync or Unknown."),
            "revision": text("The commit that was last applied."),
            "message": text("Why it is so, for people."),
            "syncedAt": reference(f"{META}.Time", "When that commit was applied."),
        },
    ),
    f"{_GITOPS}.ApplicationHealthStatus": structure(
        "Whether what was deployed works.",
        {
            "status": text("Healthy, Progressing, Degraded, Missing, Suspended or Unknown."),
            "message": text("Why it is so, for people."),
        },
    ),
    f"{_GITOPS}.ApplicationResource": structure(
        "An object that the application consists of.",
        {
            "group": text("The API group; empty for core."),
            "version": text("The API version."),
            "kind": text("The kind."),
            "namespace": text("The namespace."),
            "name": text("The name."),
            "health": text("Its health, in the same words as the application's."),
            "message": text("Why it is so, for people."),
        },
    ),
    f"{_GITOPS}.ApplicationOperation": structure(
        "The last attempt to apply a commit.",
        {
            "phase": text("Running, Succeeded or Failed."),
            "revision": text("The commit."),
            "message": text("What came of it, for people."),
            "startedAt": reference(f"{META}.Time", "When it began."),
            "finishedAt": reference(f"{META}.Time", "When it ended."),
            "created": integer("Objects that were created."),
            "changed": integer("Objects that were changed."),
            "unchanged": integer("Objects that were left as they were."),
            "removed": integer("Objects that were removed."),
        },
    ),
    f"{_GITOPS}.ApplicationStatus": structure(
        "What was last seen of an application.",
        {
            "observedGeneration": integer("The generation that this status is about.", "int64"),
            "revision": text("The commit that the live objects were made from."),
            "sync": reference(f"{_GITOPS}.ApplicationSyncStatus", "How the live state compares with that commit."),
            "health": reference(f"{_GITOPS}.ApplicationHealthStatus", "Whether it works."),
            "resourceCount": integer("How many objects the application consists of."),
            "resources": array(
                f"{_GITOPS}.ApplicationResource", "Those of its objects that are worth a look, 100 at most."
            ),
            "operation": reference(f"{_GITOPS}.ApplicationOperation", "The last attempt to apply a commit."),
            "conditions": _CONDITIONS,
        },
    ),
    f"{_GITOPS}.Application": kind(
        "gitops.moorage.io",
        "Application",
        "What a repository's deploy branch describes, and how it fares.",
        {
            "spec": reference(f"{_GITOPS}.ApplicationSpec", "The desired state."),
            "status": reference(f"{_GITOPS}.ApplicationStatus", "The observed state."),
        },
    ),
    f"{_GITOPS}.ApplicationList": kind_list("gitops.moorage.io", "Application", f"{_GITOPS}.Application"),
}

_TARGET: dict[str, Schema] = {
    "apiVersion": text("The group and version of the object."),
    "kind": text("The kind of the object."),
    "namespace": text("The namespace of the object; empty for cluster scope."),
    "name": text("The name of the object."),
    "uid": text("Refuse where the object has another uid."),
    "resourceVersion": text("Refuse where the object has another resourceVersion."),
}

_MOORAGE_DEFINITIONS: dict[str, Schema] = {
    "io.moorage.AnyObject": {
        "type": "object",
        "description": "An object of any kind.",
        "x-kubernetes-preserve-unknown-fields": True,
    },
    "io.moorage.AnyValue": {"description": "Any JSON value.", "x-kubernetes-preserve-unknown-fields": True},
    f"{_MOORAGE}.Precondition": structure(
        "What must hold of an object for the transaction to be written.",
        {**_TARGET, "exists": flag("Whether the object must exist (true) or must not (false).")},
        ("apiVersion", "kind", "name"),
    ),
    f"{_MOORAGE}.Operation": structure(
        "One write.",
        {
            **_TARGET,
            "verb": text("apply, create, update, patch or delete."),
            "subresource": text("Empty, status, scale, or (create) binding."),
            "object": reference("io.moorage.AnyObject", "The object to apply, create or update."),
            "force": flag("apply: take over fields that others own."),
            "patch": reference("io.moorage.AnyValue", "patch: the patch."),
            "patchType": text("patch: its media type."),
            "gracePeriodSeconds": integer("delete: seconds to wait.", "int64"),
            "propagationPolicy": text("delete: Background, Foreground or Orphan."),
        },
        ("verb",),
    ),
    f"{_MOORAGE}.OperationsSpec": structure(
        "Writes to make together.",
        {
            "fieldManager": text("Who owns the fields that are written."),
            "dryRun": flag("Decide everything and write nothing."),
            "sourceCommit": text("The Git commit that this comes from."),
            "preconditions": array(f"{_MOORAGE}.Precondition", "What must hold of other objects."),
            "operations": array(f"{_MOORAGE}.Operation", "The writes, in order; 5,000 and 32 MB at most."),
        },
        ("operations",),
    ),
    f"{_MOORAGE}.OperationResult": structure(
        "What became of a write.",
        {
            **_TARGET,
            "verb": text("The verb that was asked for."),
            "action": text("created, configured, unchanged, deleted or failed."),
            "code": integer("Batch: the HTTP status of this write alone."),
            "error": reference(f"{META}.Status", "Batch: why it failed."),
        },
    ),
    f"{_MOORAGE}.OperationsStatus": structure(
        "What became of the writes.",
        {
            "resourceVersion": text("The resourceVersion of the commit."),
            "results": array(f"{_MOORAGE}.OperationResult", "One for each operation, in order."),
        },
    ),
    f"{_MOORAGE}.Transaction": kind(
        "moorage.io",
        "Transaction",
        "Many writes of which all happen or none.",
        {
            "spec": reference(f"{_MOORAGE}.OperationsSpec", "The writes."),
            "status": reference(f"{_MOORAGE}.OperationsStatus", "What became of them."),
        },
    ),
    f"{_MOORAGE}.Batch": kind(
        "moorage.io",
        "Batch",
        "Many writes in one request, each of which stands alone.",
        {
            "spec": reference(f"{_MOORAGE}.OperationsSpec", "The writes."),
            "status": reference(f"{_MOORAGE}.OperationsStatus", "What became of them."),
        },
    ),
}

OWN_DEFINITIONS: Mapping[str, Schema] = {
    **_GITOPS_DEFINITIONS,
    **_MOORAGE_DEFINITIONS,
    **TENANCY_DEFINITIONS,
    **METRICS_DEFINITIONS,
    **NETWORK_DEFINITIONS,
    **SECRETS_DEFINITIONS,
}
"""By name, with descriptions."""
