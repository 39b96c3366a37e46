"""The wire form of transactions and batches (docs/architecture.md): documents to requests, results to documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from moorage.api import json_scan, negotiate
from moorage.api.config import MAX_BODY, MAX_TRANSACTION
from moorage.api.contracts import Operation, OperationResult, TransactionRequest, TransactionResult
from moorage.api.decode import MAX_DEPTH, check_type, conform, yaml_or_json
from moorage.api.errors import ApiError, bad_request, invalid
from moorage.api.options import POLICIES, check_manager
from moorage.api.transactions.engine import MAX_OPERATIONS
from moorage.resources.field_errors import invalid as invalid_value
from moorage.resources.field_errors import not_found as unknown_value
from moorage.resources.field_errors import not_supported, required, too_many
from moorage.resources.kind import Document, FieldError, GroupVersionKind, Kind
from moorage.resources.registry import Registry
from moorage.store.contracts import Key, Precondition

VERBS = ("apply", "create", "update", "patch", "delete")
SUBRESOURCES: Mapping[str, tuple[str, ...]] = {
    "apply": ("", "status"),
    "create": ("", "binding"),
    "update": ("", "status", "scale"),
    "patch": ("", "status", "scale"),
    "delete": ("",),
}


def decode(body: bytes, content_type: str, kind: Kind) -> Document:
    """The document of a Transaction or Batch. Raises ApiError 400, 413, 415."""
    if len(body) > MAX_TRANSACTION:
        raise ApiError(413, f"Request entity too large: limit is {MAX_TRANSACTION}")
    media_type = negotiate.media_type(content_type)
    try:
        if media_type == negotiate.JSON:
            value = orjson.loads(body)
            json_scan.check(body, value, MAX_DEPTH)
        elif media_type == negotiate.YAML and len(body) <= MAX_BODY:
            value = yaml_or_json(body)
        elif media_type == negotiate.YAML:
            raise ApiError(413, f"Request entity too large: limit of YAML is {MAX_BODY}; send JSON")
        else:
            raise negotiate.unsupported_media_type()
    except ValueError as error:
        raise bad_request(f"the body cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise bad_request(f"the body must be a {kind.kind}")
    check_type(value, kind)
    document: Document = value
    conform(document, kind, "Strict")
    return document


def request_of(
    document: Document, kind: Kind, registry: Registry, *, atomic: bool, request_id: str
) -> TransactionRequest:
    """What is asked for. Raises ApiError 413 for too many operations, 422 with every broken field named."""
    spec: Mapping[str, Any] = document.get("spec") or {}
    members: Sequence[Mapping[str, Any]] = spec.get("operations") or ()
    if len(members) > MAX_OPERATIONS:
        error = too_many("spec.operations", len(members), MAX_OPERATIONS)
        raise ApiError(413, f"Request entity too large: {error}")
    errors: list[FieldError] = [] if members else [required("spec.operations")]
    if spec.get("preconditions") and not atomic:
        errors.append(
            FieldError("spec.preconditions", "FieldValueForbidden", "Forbidden: a batch has no preconditions")
        )
    check_manager(spec.get("fieldManager", ""), kind.kind)
    conditions = [
        _precondition(each, f"spec.preconditions[{at}]", registry, errors)
        for at, each in enumerate(spec.get("preconditions") or ())
    ]
    operations = [_operation(each, f"operations[{at}]", registry, errors) for at, each in enumerate(members)]
    if errors:
        raise invalid(kind.group, kind.kind, "", errors)
    return TransactionRequest(
        operations=[each for each in operations if each is not None],
        atomic=atomic,
        preconditions=[each for each in conditions if each is not None],
        dry_run=spec.get("dryRun", False),
        field_manager=spec.get("fieldManager", ""),
        source_commit=spec.get("sourceCommit", ""),
        request_id=request_id,
    )


def _operation(member: Mapping[str, Any], path: str, registry: Registry, errors: list[FieldError]) -> Operation | None:
    before = len(errors)
    verb, subresource = member.get("verb", ""), member.get("subresource", "")
    document = member.get("object")
    if verb not in VERBS:
        errors.append(not_supported(f"{path}.verb", verb, VERBS))
    elif subresource not in SUBRESOURCES[verb]:
        errors.append(not_supported(f"{path}.subresource", subresource, [each for each in SUBRESOURCES[verb] if each]))
    if verb in ("apply", "create", "update") and document is None:
        errors.append(required(f"{path}.object"))
    if member.get("propagationPolicy", "") not in ("", *POLICIES):
        errors.append(not_supported(f"{path}.propagationPolicy", member["propagationPolicy"], POLICIES))
    if verb == "patch":
        _check_patch(member, path, errors)
    target = _target(member, document if verb in ("apply", "create", "update") else None)
    kind = _kind(target, path, subresource, registry, errors)
    if kind is not None:
        _check_scope(kind, target, path, verb, errors)
    if kind is None or len(errors) > before:
        return None
    return Operation(
        verb=verb,
        kind=kind,
        namespace=target["namespace"] if kind.namespaced else "",
        name=target["name"],
        document=document,
        subresource=subresource,
        patch=member.get("patch"),
        patch_type=member.get("patchType", ""),
        force=member.get("force", False),
        resource_version=member.get("resourceVersion", ""),
        uid=member.get("uid", ""),
        grace_seconds=member.get("gracePeriodSeconds"),
        propagation=member.get("propagationPolicy", ""),
        origin=path,
    )


def _check_patch(member: Mapping[str, Any], path: str, errors: list[FieldError]) -> None:
    kinds = [each for each in negotiate.PATCH_TYPES if each != negotiate.APPLY_PATCH]
    if member.get("patchType") not in kinds:
        errors.append(not_supported(f"{path}.patchType", member.get("patchType", ""), kinds))
    if member.get("patch") is None:
        errors.append(required(f"{path}.patch"))


def _target(member: Mapping[str, Any], document: Any) -> dict[str, str]:
    """What the operation is about: the object's own words where it has one, else the member's."""
    fields = ("apiVersion", "kind", "namespace", "name")
    target = {name: member.get(name) or "" for name in fields}
    if isinstance(document, dict):
        metadata = document.get("metadata") if isinstance(document.get("metadata"), dict) else {}
        own = {**(metadata or {}), "apiVersion": document.get("apiVersion"), "kind": document.get("kind")}
        for name in fields:
            value = own.get(name)
            if isinstance(value, str) and value:
                target[name] = target[name] or value
    return target


def _kind(
    target: Mapping[str, str], path: str, subresource: str, registry: Registry, errors: list[FieldError]
) -> Kind | None:
    api_version, name = target["apiVersion"], target["kind"]
    if not api_version or not name:
        errors.append(required(f"{path}.apiVersion" if not api_version else f"{path}.kind"))
        return None
    if subresource == "binding":
        return registry.by_plural("", "v1", "pods")
    group, _, version = api_version.rpartition("/")
    kind = registry.by_kind(GroupVersionKind(group, version, name))
    if kind is None or not kind.verbs or kind.verbs == ("create",):
        errors.append(unknown_value(f"{path}.kind", f"{api_version}, Kind={name}"))
        return None
    return kind


def _check_scope(kind: Kind, target: Mapping[str, str], path: str, verb: str, errors: list[FieldError]) -> None:
    if kind.namespaced and not target["namespace"]:
        errors.append(required(f"{path}.namespace", f"{kind.plural} live in a namespace"))
    if not kind.namespaced and target["namespace"]:
        errors.append(invalid_value(f"{path}.namespace", target["namespace"], f"{kind.plural} live in no namespace"))
    if not target["name"] and verb != "create":
        errors.append(required(f"{path}.name"))


def _precondition(
    member: Mapping[str, Any], path: str, registry: Registry, errors: list[FieldError]
) -> Precondition | None:
    target = _target(member, None)
    kind = _kind(target, path, "", registry, errors)
    if not target["name"]:
        errors.append(required(f"{path}.name"))
    version = member.get("resourceVersion", "")
    if version and not (version.isascii() and version.isdigit()):
        errors.append(invalid_value(f"{path}.resourceVersion", version, "must be a revision number"))
        return None
    if kind is None:
        return None
    key = Key(kind.storage.group, kind.storage.resource, target["namespace"] if kind.namespaced else "", target["name"])
    uid = member.get("uid") or None
    return Precondition(key, member.get("exists"), int(version) if version else None, uid)


def answer_of(document: Document, kind: Kind, result: TransactionResult, *, codes: bool) -> Document:
    """The document that answers, with what became of each operation. ``codes``: as a batch says it."""
    spec: dict[str, Any] = document.get("spec") or {}
    return {
        "kind": kind.kind,
        "apiVersion": kind.api_version,
        "metadata": document.get("metadata") or {},
        "spec": {key: value for key, value in spec.items() if key not in ("operations", "preconditions")},
        "status": {
            "resourceVersion": str(result.revision),
            "results": [_result(each, codes=codes) for each in result.results],
        },
    }


def _result(result: OperationResult, *, codes: bool) -> Document:
    operation = result.operation
    shown: dict[str, Any] = {
        "verb": operation.verb,
        "action": result.action,
        "apiVersion": operation.kind.api_version,
        "kind": operation.kind.kind,
        "namespace": operation.namespace,
        "name": result.name or operation.name,
        "uid": result.uid,
        "resourceVersion": str(result.revision) if result.revision else "",
    }
    if codes:
        shown["code"] = result.error["code"] if result.error else (201 if result.action == "created" else 200)
        if result.error:
            shown["error"] = result.error
    return shown


def failure_of(result: TransactionResult) -> ApiError:
    """Why a transaction was not written: its own error, or those of its members, each under ``operations[N]``."""
    if result.error is not None:
        error = result.error
        return ApiError(
            int(error["code"]), str(error["message"]), reason=str(error.get("reason", "")), details=error.get("details")
        )
    failed = [(at, each) for at, each in enumerate(result.results) if each.error is not None]
    codes = {int(each.error["code"]) for _, each in failed if each.error}
    code = codes.pop() if len(codes) == 1 else 422
    reasons = {str(each.error.get("reason", "")) for _, each in failed if each.error}
    texts, causes = [], []
    for at, each in failed:
        assert each.error is not None
        where = each.operation.origin or f"operations[{at}]"
        texts.append(f"{where}: {each.error['message']}")
        causes.extend(_causes(at, each.error))
    shown = "; ".join(texts[:10]) + (f"; and {len(texts) - 10} more" if len(texts) > 10 else "")
    reason = reasons.pop() if len(reasons) == 1 else "Invalid"
    return ApiError(code, f"the transaction was not written: {shown}", reason=reason, details={"causes": causes})


def _causes(index: int, error: Mapping[str, Any]) -> list[dict[str, str]]:
    path = f"operations[{index}]"
    own = (error.get("details") or {}).get("causes") or ()
    if not own:
        return [{"reason": str(error.get("reason", "")), "message": str(error["message"]), "field": path}]
    return [
        {
            "reason": str(cause.get("reason", "")),
            "message": str(cause.get("message", "")),
            "field": f"{path}.object.{cause['field'].lstrip('.')}" if cause.get("field") else path,
        }
        for cause in own
    ]
