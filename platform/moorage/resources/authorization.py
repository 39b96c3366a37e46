"""authorization.k8s.io/v1 reviews, and authentication.k8s.io/v1 SelfSubjectReview: questions that are answered and not kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.field_errors import invalid, required
from moorage.resources.kind import Document, FieldError, Kind, ResourceKey, no_errors
from moorage.resources.printing import at

GROUP = "authorization.k8s.io"
AUTHENTICATION = "authentication.k8s.io"
_SELECTED = ("fieldSelector", "labelSelector")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def _review(
    group: str,
    kind: str,
    package: str,
    *,
    namespaced: bool = False,
    validate: Callable[[Document], Sequence[FieldError]] = no_errors,
) -> Kind:
    plural = f"{kind.lower()}s"
    return Kind(
        group=group,
        version="v1",
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        namespaced=namespaced,
        schema=f"io.k8s.api.{package}.v1.{kind}",
        storage=ResourceKey(group, plural),
        name_rule=names.path_segment,
        verbs=("create",),
        validate=validate,
    )


def self_access_errors(review: Document) -> list[FieldError]:
    """Exactly one question. Source: ``pkg/apis/authorization/validation``."""
    return _meta_errors(review) + _question_errors(review.get("spec") or {})


def access_errors(review: Document) -> list[FieldError]:
    """Exactly one question, about somebody."""
    spec = review.get("spec") or {}
    errors = _meta_errors(review) + _question_errors(spec)
    if not spec.get("user") and not spec.get("groups"):
        errors.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    return errors


def local_access_errors(review: Document) -> list[FieldError]:
    """About somebody, in the namespace that the review itself is in."""
    errors = access_errors(review)
    if at(review, "spec.nonResourceAttributes", None) is not None:
        detail = "disallowed on this kind of request"
        errors.append(invalid("spec.nonResourceAttributes", at(review, "spec.nonResourceAttributes"), detail))
    wanted, given = at(review, "spec.resourceAttributes.namespace"), at(review, "metadata.namespace")
    if at(review, "spec.resourceAttributes", None) is not None and wanted != given:
        detail = "must match metadata.namespace"
        errors.append(invalid("spec.resourceAttributes.namespace", wanted, detail))
    return errors


def rules_errors(review: Document) -> list[FieldError]:
    """A SelfSubjectRulesReview names the namespace it is about."""
    if at(review, "spec.namespace"):
        return []
    return [required("spec.namespace", "namespace is required for this type")]


def _meta_errors(review: Document) -> list[FieldError]:
    """A review has no metadata but its namespace (and what a server or kubectl fills in)."""
    allowed = {"namespace", "managedFields", "creationTimestamp", "uid"}
    metadata = review.get("metadata") or {}
    if any(value for key, value in metadata.items() if key not in allowed):
        shown = {key: value for key, value in metadata.items() if value}
        return [invalid("metadata", shown, "must be empty")]
    return []


def _question_errors(spec: Mapping[str, Any]) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        return [invalid("spec.nonResourceAttributes", path, detail)]
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [invalid("spec.resourceAttributes", None, detail)]
    errors: list[FieldError] = []
    for name in _SELECTED:
        selector = (resource or {}).get(name)
        if selector is not None:
            errors += _selector_errors(f"spec.resourceAttributes.{name}", selector)
    return errors


def _selector_errors(path: str, selector: Mapping[str, Any]) -> list[FieldError]:
    raw, requirements = selector.get("rawSelector"), selector.get("requirements")
    if raw and requirements:
        return [invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements")]
    if not raw and not requirements:
        return [required(f"{path}.requirements", f"when {path} is specified, requirements or rawSelector is required")]
    errors: list[FieldError] = []
    for index, requirement in enumerate(requirements or ()):
        at_ = f"{path}.requirements[{index}]"
        if not requirement.get("key"):
            errors.append(required(f"{at_}.key", "must be specified"))
        operator, values = requirement.get("operator", ""), requirement.get("values")
        if operator not in _OPERATORS:
            errors.append(invalid(f"{at_}.operator", operator, "not a valid selector operator"))
        elif operator in ("In", "NotIn") and not values:
            errors.append(required(f"{at_}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    return errors


SELF_SUBJECT_REVIEW = _review(AUTHENTICATION, "SelfSubjectReview", "authentication")
LOCAL_SUBJECT_ACCESS_REVIEW = _review(
    GROUP, "LocalSubjectAccessReview", "authorization", namespaced=True, validate=local_access_errors
)
SELF_SUBJECT_ACCESS_REVIEW = _review(GROUP, "SelfSubjectAccessReview", "authorization", validate=self_access_errors)
SELF_SUBJECT_RULES_REVIEW = _review(GROUP, "SelfSubjectRulesReview", "authorization", validate=rules_errors)
SUBJECT_ACCESS_REVIEW = _review(GROUP, "SubjectAccessReview", "authorization", validate=access_errors)
