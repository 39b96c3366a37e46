"""flowcontrol.apiserver.k8s.io/v1: FlowSchemas sort requests into priority levels; levels say how many run and who waits.

Source: KEP-1040 and pkg/apis/flowcontrol/{v1,validation}. ``moorage.api.fairness`` acts on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_choice
from moorage.resources.declaring import by_name, status_of
from moorage.resources.field_errors import forbidden, invalid, required
from moorage.resources.flowcontrol_rules import check_rules
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, NONE, at, number, text

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMA = "io.k8s.api.flowcontrol.v1"
EXEMPT = "exempt"
CATCH_ALL = "catch-all"
LARGEST_PRECEDENCE = 10_000
DEFAULT_PRECEDENCE = 1_000
DEFAULT_SHARES = 30
_QUEUING = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}

Part = Mapping[str, Any]


def _default_schema(schema: Document) -> None:
    spec = schema.setdefault("spec", {})
    spec.setdefault("matchingPrecedence", DEFAULT_PRECEDENCE)
    for rule in spec.get("rules") or ():
        for part in rule.get("resourceRules") or ():
            if part.get("clusterScope") is False:
                del part["clusterScope"]


def _schema_errors(schema: Document) -> list[FieldError]:
    errors = metadata_errors(schema, names.dns_subdomain, namespaced=False)
    spec: Part = schema.get("spec") or {}
    precedence = spec.get("matchingPrecedence") or 0
    if precedence <= 0:
        errors.append(invalid("spec.matchingPrecedence", precedence, "must be a positive value"))
    elif precedence > LARGEST_PRECEDENCE:
        detail = f"must not be greater than {LARGEST_PRECEDENCE}"
        errors.append(invalid("spec.matchingPrecedence", precedence, detail))
    if precedence == 1 and schema["metadata"].get("name") != EXEMPT:
        errors.append(invalid("spec.matchingPrecedence", precedence, "only the schema named 'exempt' may have it"))
    method = spec.get("distinguisherMethod")
    if method is not None:
        check_choice(errors, "spec.distinguisherMethod", method.get("type", ""), ("ByNamespace", "ByUser"))
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    if not level:
        errors.append(required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
    elif problem := names.dns_subdomain(level):
        errors.append(invalid("spec.priorityLevelConfiguration.name", level, problem))
    check_rules(errors, "spec.rules", spec.get("rules") or ())
    return errors


def _default_level(level: Document) -> None:
    spec = level.setdefault("spec", {})
    if spec.get("type") == "Exempt":
        spec.setdefault("exempt", {}).setdefault("nominalConcurrencyShares", 0)
        spec["exempt"].setdefault("lendablePercent", 0)
        return
    if spec.get("type") != "Limited" or spec.get("limited") is None:
        return
    limited = spec["limited"]
    limited.setdefault("nominalConcurrencyShares", DEFAULT_SHARES)
    limited.setdefault("lendablePercent", 0)
    response = limited.get("limitResponse") or {}
    if response.get("type") == "Queue":
        queuing = response.setdefault("queuing", {})
        for field, value in _QUEUING.items():
            queuing[field] = queuing.get(field) or value


def _level_errors(level: Document) -> list[FieldError]:
    errors = metadata_errors(level, names.dns_subdomain, namespaced=False)
    spec: Part = level.get("spec") or {}
    kind = spec.get("type", "")
    name = level["metadata"].get("name")
    check_choice(errors, "spec.type", kind, ("Exempt", "Limited"))
    if name == EXEMPT and kind == "Limited":
        errors.append(invalid("spec.type", kind, "must be 'Exempt' if `name` is 'exempt'"))
    if kind == "Exempt":
        if spec.get("limited") is not None:
            errors.append(forbidden("spec.limited", "must be nil if the type is not Limited"))
        _check_shares(errors, "spec.exempt", spec.get("exempt") or {})
    elif kind == "Limited":
        if spec.get("exempt") is not None:
            errors.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
        if spec.get("limited") is None:
            errors.append(required("spec.limited", "must not be empty when type is Limited"))
        else:
            _check_limited(errors, spec["limited"])
    return errors


def _check_limited(errors: Errors, limited: Part) -> None:
    _check_shares(errors, "spec.limited", limited)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        errors.append(
            invalid("spec.limited.borrowingLimitPercent", borrowing, "if specified, must be a non-negative integer")
        )
    response: Part = limited.get("limitResponse") or {}
    path, kind = "spec.limited.limitResponse", response.get("type", "")
    check_choice(errors, f"{path}.type", kind, ("Queue", "Reject"))
    queuing = response.get("queuing")
    if kind == "Reject" and queuing is not None:
        errors.append(forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited"))
    if kind == "Queue":
        if queuing is None:
            errors.append(required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited"))
        else:
            _check_queuing(errors, f"{path}.queuing", queuing)


def _check_queuing(errors: Errors, path: str, queuing: Part) -> None:
    for field in ("queueLengthLimit", "queues", "handSize"):
        if queuing.get(field, 0) <= 0:
            errors.append(invalid(f"{path}.{field}", queuing.get(field, 0), "must be positive"))
    if queuing.get("queues", 0) > 10_000_000:
        errors.append(invalid(f"{path}.queues", queuing["queues"], "must not be greater than 10000000"))
    if queuing.get("handSize", 0) > queuing.get("queues", 0):
        detail = f"should not be greater than queues ({queuing.get('queues', 0)})"
        errors.append(invalid(f"{path}.handSize", queuing["handSize"], detail))


def _check_shares(errors: Errors, path: str, part: Part) -> None:
    shares = part.get("nominalConcurrencyShares", 0)
    if shares is not None and shares < 0:
        errors.append(invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    lendable = part.get("lendablePercent", 0)
    if lendable is not None and not 0 <= lendable <= 100:
        errors.append(invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive"))


def _level_update_errors(new: Document, old: Document) -> list[FieldError]:
    """Nobody may make the exempt level wait, or the last resort anything else."""
    errors = metadata_update_errors(new, old)
    name = new["metadata"].get("name")
    if name in (EXEMPT, CATCH_ALL) and new.get("spec", {}).get("type") != old.get("spec", {}).get("type"):
        errors.append(invalid("spec", new.get("spec"), f"spec of '{name}' cannot be changed to another type"))
    return errors


def _dangling(schema: Document, _now: float) -> Any:
    conditions = at(schema, "status.conditions", ())
    return next((each.get("status") for each in conditions if each.get("type") == "Dangling"), "?")


FLOW_SCHEMA = Kind(
    group=GROUP,
    version="v1",
    kind="FlowSchema",
    plural="flowschemas",
    singular="flowschema",
    namespaced=False,
    schema=f"{SCHEMA}.FlowSchema",
    storage=ResourceKey(GROUP, "flowschemas"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name([status_of(GROUP, "v1", "FlowSchema")]),
    columns=(
        NAME,
        Column("PriorityLevel", text("spec.priorityLevelConfiguration.name"), description="Where its requests run."),
        Column(
            "MatchingPrecedence",
            number("spec.matchingPrecedence"),
            type="integer",
            description="The smallest that matches decides.",
        ),
        Column("DistinguisherMethod", text("spec.distinguisherMethod.type"), description="What tells flows apart."),
        AGE,
        Column("MissingPL", _dangling, description="Whether its priority level is missing."),
    ),
    default=_default_schema,
    validate=_schema_errors,
    validate_update=metadata_update_errors,
    validate_status_update=metadata_update_errors,
)


def _limited(path: str) -> Callable[[Document, float], Any]:
    """A cell of ``spec.limited``; exempt levels have none."""
    return lambda level, _now: at(level, f"spec.limited.{path}", NONE)


PRIORITY_LEVEL = Kind(
    group=GROUP,
    version="v1",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    singular="prioritylevelconfiguration",
    namespaced=False,
    schema=f"{SCHEMA}.PriorityLevelConfiguration",
    storage=ResourceKey(GROUP, "prioritylevelconfigurations"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name([status_of(GROUP, "v1", "PriorityLevelConfiguration")]),
    columns=(
        NAME,
        Column("Type", text("spec.type"), description="Whether its requests are ever made to wait."),
        Column("NominalConcurrencyShares", _limited("nominalConcurrencyShares"), description="Its share."),
        Column("Queues", _limited("limitResponse.queuing.queues"), description="Queues."),
        Column("HandSize", _limited("limitResponse.queuing.handSize"), description="Queues dealt to a flow."),
        Column("QueueLengthLimit", _limited("limitResponse.queuing.queueLengthLimit"), description="Waiting."),
        AGE,
    ),
    default=_default_level,
    validate=_level_errors,
    validate_update=_level_update_errors,
    validate_status_update=metadata_update_errors,
)
