"""Questions about rights: ``kubectl auth can-i``, ``can-i --list`` and ``whoami``. They are answered and not kept.

Source: ``pkg/registry/authorization/{selfsubjectaccessreview,subjectaccessreview,selfsubjectrulesreview}/rest.go`` and
``pkg/registry/authentication/selfsubjectreview/rest.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moorage.api.answers import send_value
from moorage.api.bodies import object_body
from moorage.api.contracts import Attributes, Decision, Identity, Rights
from moorage.api.errors import invalid
from moorage.api.options import write_options
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.writing import strategy
from moorage.resources.kind import Document

SOMEBODY = "(somebody)"
"""Stands for the user in a review about groups alone."""


async def self_access(service: Service, request: Request) -> None:
    """POST of a SelfSubjectAccessReview: may I?"""
    review = await _review(service, request)
    await _answer_access(service, request, review, request.identity)


async def access(service: Service, request: Request) -> None:
    """POST of a SubjectAccessReview or LocalSubjectAccessReview: may they?"""
    review = await _review(service, request)
    spec = review["spec"]
    extra = {key.lower(): tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    identity = Identity(spec.get("user", ""), frozenset(spec.get("groups") or ()), spec.get("uid", ""), extra)
    await _answer_access(service, request, review, identity)


async def rules(service: Service, request: Request) -> None:
    """POST of a SelfSubjectRulesReview: what all may I do there?"""
    review = await _review(service, request)
    reviewer = service.config.reviewer
    rights = Rights((), (), "this server's authorizer cannot list rules")
    if reviewer is not None:
        rights = await reviewer.rights(request.identity, review["spec"]["namespace"])
    status: Document = {
        "resourceRules": list(rights.resources),
        "nonResourceRules": list(rights.paths),
        "incomplete": bool(rights.incomplete),
    }
    if rights.incomplete:
        status["evaluationError"] = rights.incomplete
    await send_value(request, {**review, "status": status}, 201)


async def whoami(service: Service, request: Request) -> None:
    """POST of a SelfSubjectReview: who am I to you?"""
    review = await _review(service, request)
    identity = request.identity
    user: Document = {"username": identity.name, "groups": sorted(identity.groups)}
    if identity.uid:
        user["uid"] = identity.uid
    extra = {key: list(values) for key, values in identity.extra.items()}
    if extra:
        user["extra"] = extra
    await send_value(request, {**review, "status": {"userInfo": user}}, 201)


async def _review(service: Service, request: Request) -> Document:
    """The question. Raises ApiError 400 and 422 for one that makes no sense."""
    kind = request.kind
    options = write_options(request.query, "CreateOptions")
    body = await object_body(request, kind, options.strictness)
    document = body()
    strategy.place(kind, document, request.namespace)
    document.pop("status", None)
    errors = kind.validate(document)
    if errors:
        raise invalid(kind.group, kind.kind, "", errors)
    metadata = strategy.metadata_of(document)
    metadata["creationTimestamp"] = strategy.now()
    return document


async def _answer_access(service: Service, request: Request, review: Document, identity: Identity) -> None:
    decision = await _decide(service, _attributes(review["spec"], identity))
    status: Document = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    await send_value(request, {**review, "status": status}, 201)


async def _decide(service: Service, attributes: Attributes) -> Decision:
    reviewer = service.config.reviewer
    if not attributes.identity.name:
        attributes = replace(attributes, identity=replace(attributes.identity, name=SOMEBODY))
    if reviewer is not None:
        return await reviewer.explain(attributes)
    return await service.config.authorizer.authorise(attributes)


def _attributes(spec: Mapping[str, Any], identity: Identity) -> Attributes:
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(identity, path.get("verb", "").lower(), path=path.get("path", "") or "/")
    asked: Mapping[str, Any] = spec["resourceAttributes"]
    fields = _fields(asked.get("fieldSelector") or {})
    return Attributes(
        identity,
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
        "",
        fields,
    )


def _fields(selector: Mapping[str, Any]) -> Mapping[str, str]:
    """The exact matches of a field selector: the others narrow nothing that anybody decides by."""
    raw = selector.get("rawSelector")
    if raw:
        terms = [term.partition("=") for term in raw.split(",") if "!=" not in term]
        return {key: value.lstrip("=") for key, equals, value in terms if equals}
    return {
        each["key"]: each["values"][0]
        for each in selector.get("requirements") or ()
        if each.get("operator") == "In" and len(each.get("values") or ()) == 1
    }
