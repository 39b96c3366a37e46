"""What a transaction's answer means for the files of the push."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.api.contracts import OperationResult, TransactionResult
from moorage.resources.kind import Document
from moorage_gitops.host.deploy.objects import Desired, subject
from moorage_gitops.host.deploy.plan import Plan
from moorage_gitops.host.deploy.problems import Problem

_MEMBER = re.compile(r"operations\[(?P<index>\d+)\]\.?(?:object\.?)?(?P<field>.*)\Z", re.DOTALL)
# Kubernetes' messages quote the value between these words and the explanation.
_VALUE = re.compile(r"(?P<label>(?:Invalid|Unsupported|Duplicate) value: ).*(?P<rest>: [^:]*|)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Effect:
    """What happened to one object. ``action``: created, configured, unchanged or pruned."""

    action: str
    subject: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many objects were treated how."""

    created: int
    configured: int
    unchanged: int
    pruned: int


def failed(result: TransactionResult) -> bool:
    """Whether the transaction was refused, as a whole or in a member."""
    return result.error is not None or any(item.action == "failed" or item.error for item in result.results)


def outdated(result: TransactionResult, plans: Sequence[Plan]) -> bool:
    """Whether it failed only because live objects changed between planning and writing, so that planning anew may help."""
    offsets = _offsets(plans)
    failures = [index for index, item in enumerate(result.results) if item.error and _code(item.error) in (404, 409)]
    others = any(item.error and _code(item.error) not in (404, 409) for item in result.results)
    return bool(failures) and not others and all(_is_deletion(index, plans, offsets) for index in failures)


def effects(plan: Plan, results: Sequence[OperationResult]) -> list[Effect]:
    """What happened to the objects of ``plan``; ``results`` are those of its operations."""
    found = [Effect(result.action, item.subject) for item, result in zip(plan.desired, results, strict=False)]
    found += [Effect("pruned", subject(item.kind, item.namespace, item.name)) for item in plan.pruning.remove]
    return found


def count(found: Sequence[Effect]) -> Counts:
    """Effects by action."""
    tally = Counter(effect.action for effect in found)
    return Counts(tally["created"], tally["configured"], tally["unchanged"], tally["pruned"])


def problems(result: TransactionResult, plans: Sequence[Plan]) -> list[Problem]:
    """Every refusal of the answer, with the file and line of the field that it is about."""
    offsets = _offsets(plans)
    found: list[Problem] = []
    for index, item in enumerate(result.results):
        if item.error is not None:
            found += _explain(index, item.error, plans, offsets)
    if not found and result.error is not None:
        found += _explain_whole(result.error, plans, offsets)
    return found


def _explain(index: int, status: Document, plans: Sequence[Plan], offsets: Sequence[int]) -> Iterator[Problem]:
    place = _place(index, plans, offsets)
    if place is None:
        yield Problem("(this push)", 0, "", str(status.get("message", "")))
        return
    plan, item = place
    if not isinstance(item, Desired):
        yield Problem("(pruning)", 0, item, str(status.get("message", "")))
        return
    causes = [cause for cause in (status.get("details") or {}).get("causes") or [] if cause.get("field")]
    if _code(status) != 422 or not causes:
        yield _problem(plan, item, "", str(status.get("message", "")))
    else:
        for cause in causes:
            field = _own_field(str(cause["field"]))
            message = str(cause.get("message", ""))
            yield _problem(plan, item, field, f"{field}: {message}" if field else message)


def _explain_whole(status: Document, plans: Sequence[Plan], offsets: Sequence[int]) -> Iterator[Problem]:
    seen = False
    for cause in (status.get("details") or {}).get("causes") or []:
        match = _MEMBER.match(str(cause.get("field", "")))
        if match:
            seen = True
            one = {"code": 422, "details": {"causes": [{**cause, "field": match["field"] or "(object)"}]}}
            yield from _explain(int(match["index"]), one, plans, offsets)
    if not seen:
        yield Problem("(this push)", 0, "", str(status.get("message", "refused")))


def _problem(plan: Plan, item: Desired, field: str, message: str) -> Problem:
    line = item.line(field)
    if item.kind.sealed:
        return Problem(item.file, line, item.subject, _VALUE.sub(r"\g<label><hidden>\g<rest>", message))
    return Problem(item.file, line, item.subject, message, plan.reading.excerpt(item.file, line) if field else "")


def _place(index: int, plans: Sequence[Plan], offsets: Sequence[int]) -> tuple[Plan, Desired | str] | None:
    for plan, offset in zip(plans, offsets, strict=True):
        at = index - offset
        if 0 <= at < len(plan.desired):
            return plan, plan.desired[at]
        at -= len(plan.desired)
        if 0 <= at < len(plan.pruning.remove):
            item = plan.pruning.remove[at]
            return plan, subject(item.kind, item.namespace, item.name)
    return None


def _is_deletion(index: int, plans: Sequence[Plan], offsets: Sequence[int]) -> bool:
    place = _place(index, plans, offsets)
    return place is not None and isinstance(place[1], str)


def _offsets(plans: Sequence[Plan]) -> list[int]:
    offsets, at = [], 0
    for plan in plans:
        offsets.append(at)
        at += len(plan.desired) + len(plan.pruning.remove)
    return offsets


def _own_field(field: str) -> str:
    match = _MEMBER.match(field)
    own = match["field"] if match else field
    return "" if own == "(object)" else own


def _code(status: dict[str, Any]) -> int:
    return int(status.get("code") or 0)
