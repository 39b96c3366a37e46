"""Definitions of kinds of our own, in the form of the published set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_GITOPS = "io.moorage.gitops.v1"
_MOORAGE = "io.moorage.v1"


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _integer(description: str, width: str = "int32") -> Schema:
    return {"type": "integer", "format": width, "description": description}


def _ref(name: str, description: str) -> Schema:
    return {"$ref": f"#/$defs/{name}", "description": description}


def _texts(description: str) -> Schema:
    return {
        "type": "array",
        "items": {"type": "string"},
        "description": description,
        "x-kubernetes-list-type": "atomic",
    }


def _list(item: str, description: str, *keys: str) -> Schema:
    schema: Schema = {"type": "array", "items": {"$ref": f"#/$defs/{item}"}, "description": description}
    if keys:
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    else:
        schema["x-kubernetes-list-type"] = "atomic"
    return schema


def _object(description: str, properties: Mapping[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    schema: Schema = {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "additionalProperties": False,
    }
    if required:
        schema["required"] = list(required)
    return schema


def _kind(group: str, kind: str, description: str, properties: Mapping[str, Schema]) -> Schema:
    top = {
        "apiVersion": _text("The group and version of this document."),
        "kind": _text("The kind of this document."),
        "metadata": _ref(f"{_META}.ObjectMeta", "Standard object's metadata."),
        **properties,
    }
    schema = _object(description, top)
    schema["x-kubernetes-group-version-kind"] = [{"group": group, "version": "v1", "kind": kind}]
    return schema


def _kind_list(group: str, kind: str, item: str) -> Schema:
    schema = _object(
        f"A list of {kind} objects.",
        {
            "apiVersion": _text("The group and version of this document."),
            "kind": _text("The kind of this document."),
            "metadata": _ref(f"{_META}.ListMeta", "Standard list metadata."),
            "items": _list(item, f"The {kind} objects."),
        },
        ("items",),
    )
    schema["x-kubernetes-group-version-kind"] = [{"group": group, "version": "v1", "kind": f"{kind}List"}]
    return schema


_CONDITIONS = _list(f"{_META}.Condition", "The latest observations of the object's state.", "type")

_GITOPS_DEFINITIONS: dict[str, Schema] = {
    f"{_GITOPS}.RepositorySpec": _object(
        "What a hosted Git repository is like.",
        {
            "description": _text("What the repository is for, in a sentence."),
            "deployBranch": _text("The branch whose pushes are deployed. Defaults to main."),
            "path": _text("The folder of the tree that holds the manifests; the whole tree where it is empty."),
        },
    ),
    f"{_GITOPS}.RepositoryStatus": _object(
        "What was last seen of a repository.",
        {
            "url": _text("The URL to push to and to clone from."),
            "revision": _text("The commit that the deploy branch points to."),
            "lastPushTime": _ref(f"{_META}.Time", "When the deploy branch last moved."),
            "lastPusher": _text("Who moved it."),
            "observedGeneration": _integer("The generation that this status is about.", "int64"),
            "conditions": _CONDITIONS,
        },
    ),
    f"{_GITOPS}.Repository": _kind(
        "gitops.moorage.io",
        "Repository",
        "A Git repository hosted by the platform. Pushing to its deploy branch deploys.",
        {
            "spec": _ref(f"{_GITOPS}.RepositorySpec", "The desired state."),
            "status": _ref(f"{_GITOPS}.RepositoryStatus", "The observed state."),
        },
    ),
    f"{_GITOPS}.RepositoryList": _kind_list("gitops.moorage.io", "Repository", f"{_GITOPS}.Repository"),
    f"{_GITOPS}.ApplicationSpec": _object(
        "What is deployed, from where.",
        {
            "repository": _text("The Repository in the same namespace that the manifests come from."),
            "branch": _text("The branch that is deployed; the repository's deploy branch where it is empty."),
            "path": _text("The folder of the tree that holds the manifests; the repository's where it is empty."),
            "prune": _flag("Whether objects that left the tree are deleted. Defaults to true."),
            "suspend": _flag("Whether pushes are kept from being applied."),
        },
    ),
    f"{_GITOPS}.ApplicationSyncStatus": _object(
        "How the live state compares with a commit.",
        {
            "status": _text("Synced, OutOfSync or Unknown."),
            "revision": _text("The commit that was last applied."),
            "message": _text("Why it is so, for people."),
            "syncedAt": _ref(f"{_META}.Time", "When that commit was applied."),
        },
    ),
    f"{_GITOPS}.ApplicationHealthStatus": _object(
        "Whether what was deployed works.",
        {
            "status": _text("Healthy, Progressing, Degraded, Missing, Suspended or Unknown."),
            "message": _text("Why it is so, for people."),
        },
    ),
    f"{_GITOPS}.ApplicationResource": _object(
        "An object that the application consists of.",
        {
            "group": _text("The API group; empty for core."),
            "version": _text("The API version."),
            "kind": _text("The kind."),
            "namespace": _text("The namespace."),
            "name": _text("The name."),
            "health": _text("Its health, in the same words as the application's."),
            "message": _text("Why it is so, for people."),
        },
    ),
    f"{_GITOPS}.ApplicationOperation": _object(
        "The last attempt to apply a commit.",
        {
            "phase": _text("Running, Succeeded or Failed."),
            "revision": _text("The commit."),
            "message": _text("What came of it, for people."),
            "startedAt": _ref(f"{_META}.Time", "When it began."),
            "finishedAt": _ref(f"{_META}.Time", "When it ended."),
            "created": _integer("Objects that were created."),
            "changed": _integer("Objects that were changed."),
            "unchanged": _integer("Objects that were left as they were."),
            "removed": _integer("Objects that were removed."),
        },
    ),
    f"{_GITOPS}.ApplicationStatus": _object(
        "What was last seen of an application.",
        {
            "observedGeneration": _integer("The generation that this status is about.", "int64"),
            "revision": _text("The commit that the live objects were made from."),
            "sync": _ref(f"{_GITOPS}.ApplicationSyncStatus", "How the live state compares with that commit."),
            "health": _ref(f"{_GITOPS}.ApplicationHealthStatus", "Whether it works."),
            "resourceCount": _integer("How many objects the application consists of."),
            "resources": _list(
                f"{_GITOPS}.ApplicationResource", "Those of its objects that are worth a look, 100 at most."
            ),
            "operation": _ref(f"{_GITOPS}.ApplicationOperation", "The last attempt to apply a commit."),
            "conditions": _CONDITIONS,
        },
    ),
    f"{_GITOPS}.Application": _kind(
        "gitops.moorage.io",
        "Application",
        "What a repository's deploy branch describes, and how it fares.",
        {
            "spec": _ref(f"{_GITOPS}.ApplicationSpec", "The desired state."),
            "status": _ref(f"{_GITOPS}.ApplicationStatus", "The observed state."),
        },
    ),
    f"{_GITOPS}.ApplicationList": _kind_list("gitops.moorage.io", "Application", f"{_GITOPS}.Application"),
}

_TARGET: dict[str, Schema] = {
    "apiVersion": _text("The group and version of the object."),
    "kind": _text("The kind of the object."),
    "namespace": _text("The namespace of the object; empty for cluster scope."),
    "name": _text("The name of the object."),
    "uid": _text("Refuse where the object has another uid."),
    "resourceVersion": _text("Refuse where the object has another resourceVersion."),
}

_MOORAGE_DEFINITIONS: dict[str, Schema] = {
    "io.moorage.AnyObject": {
        "type": "object",
        "description": "An object of any kind.",
        "x-kubernetes-preserve-unknown-fields": True,
    },
    "io.moorage.AnyValue": {"description": "Any JSON value.", "x-kubernetes-preserve-unknown-fields": True},
    f"{_MOORAGE}.Precondition": _object(
        "What must hold of an object for the transaction to be written.",
        {**_TARGET, "exists": _flag("Whether the object must exist (true) or must not (false).")},
        ("apiVersion", "kind", "name"),
    ),
    f"{_MOORAGE}.Operation": _object(
        "One write.",
        {
            **_TARGET,
            "verb": _text("apply, create, update, patch or delete."),
            "subresource": _text("Empty, status, scale, or (create) binding."),
            "object": _ref("io.moorage.AnyObject", "The object to apply, create or update."),
            "force": _flag("apply: take over fields that others own."),
            "patch": _ref("io.moorage.AnyValue", "patch: the patch."),
            "patchType": _text("patch: its media type."),
            "gracePeriodSeconds": _integer("delete: seconds to wait.", "int64"),
            "propagationPolicy": _text("delete: Background, Foreground or Orphan."),
        },
        ("verb",),
    ),
    f"{_MOORAGE}.OperationsSpec": _object(
        "Writes to make together.",
        {
            "fieldManager": _text("Who owns the fields that are written."),
            "dryRun": _flag("Decide everything and write nothing."),
            "sourceCommit": _text("The Git commit that this comes from."),
            "preconditions": _list(f"{_MOORAGE}.Precondition", "What must hold of other objects."),
            "operations": _list(f"{_MOORAGE}.Operation", "The writes, in order; 5,000 and 32 MB at most."),
        },
        ("operations",),
    ),
    f"{_MOORAGE}.OperationResult": _object(
        "What became of a write.",
        {
            **_TARGET,
            "verb": _text("The verb that was asked for."),
            "action": _text("created, configured, unchanged, deleted or failed."),
            "code": _integer("Batch: the HTTP status of this write alone."),
            "error": _ref(f"{_META}.Status", "Batch: why it failed."),
        },
    ),
    f"{_MOORAGE}.OperationsStatus": _object(
        "What became of the writes.",
        {
            "resourceVersion": _text("The resourceVersion of the commit."),
            "results": _list(f"{_MOORAGE}.OperationResult", "One for each operation, in order."),
        },
    ),
    f"{_MOORAGE}.Transaction": _kind(
        "moorage.io",
        "Transaction",
        "Many writes of which all happen or none.",
        {
            "spec": _ref(f"{_MOORAGE}.OperationsSpec", "The writes."),
            "status": _ref(f"{_MOORAGE}.OperationsStatus", "What became of them."),
        },
    ),
    f"{_MOORAGE}.Batch": _kind(
        "moorage.io",
        "Batch",
        "Many writes in one request, each of which stands alone.",
        {
            "spec": _ref(f"{_MOORAGE}.OperationsSpec", "The writes."),
            "status": _ref(f"{_MOORAGE}.OperationsStatus", "What became of them."),
        },
    ),
}

OWN_DEFINITIONS: Mapping[str, Schema] = {**_GITOPS_DEFINITIONS, **_MOORAGE_DEFINITIONS}
"""By name, with descriptions."""
