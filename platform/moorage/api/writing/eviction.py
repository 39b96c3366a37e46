"""Evicting a pod: a deletion that the PodDisruptionBudgets of its namespace must allow.

What a budget still allows is taken from it in the commit that marks the pod, so that no two evictions take the same place.
Source: pkg/registry/core/pod/storage/eviction.go; the messages are its.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moorage.api import conversion
from moorage.api.errors import ApiError, bad_request, forbidden, not_found
from moorage.api.options import DeleteOptions, delete_options
from moorage.api.writing import strategy
from moorage.api.writing.contracts import Planned, View, Writer
from moorage.api.writing.planner import Planner
from moorage.api.writing.together import PLATFORM
from moorage.resources import label_selector
from moorage.resources.core.pods.state import is_finished, is_ready
from moorage.resources.kind import Document, Kind
from moorage.resources.policy import (
    DISRUPTION_ALLOWED,
    DISRUPTION_TARGET,
    INSUFFICIENT,
    POD_DISRUPTION_BUDGET,
    SYNC_FAILED,
    is_violation_tolerated,
)

MOST_DISRUPTED = 2000
"""Evictions that a budget's controller has not confirmed yet."""
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_BUSY_SECONDS = 10


def options_of(eviction: Document, *, dry_run: bool) -> DeleteOptions:
    """How an Eviction wants its pod deleted. Raises ApiError 400, 422."""
    options = delete_options({}, eviction.get("deleteOptions") or {})
    return replace(options, dry_run=options.dry_run or dry_run)


async def evicted(
    planner: Planner, view: View, writer: Writer, kind: Kind, namespace: str, name: str, eviction: Document
) -> Planned:
    """The pod on its way out, with what its budget has left. Raises ApiError 400, 403, 404, 409, 429, 500."""
    given = strategy.metadata_of(eviction).get("name")
    if given and given != name:
        raise bad_request("name in URL does not match name in Eviction object")
    options = options_of(eviction, dry_run=writer.dry_run)
    current = await view.get(kind, namespace, name)
    if current is None:
        raise not_found(kind.group, kind.plural, name)
    pod = conversion.served_document(kind, current)
    taken = None if _is_free(pod) else await _taken(planner, view, namespace, pod)
    planned = await planner.deleter.delete(view, writer, kind, namespace, name, options, mark=disrupted)
    if taken is None or planned.write is None:
        return planned
    return replace(planned, companions=(*planned.companions, taken))


def disrupted(pod: Document) -> Document:
    """``pod`` with the condition that says why it goes."""
    status: Mapping[str, Any] = pod.get("status") or {}
    entry = {
        "type": DISRUPTION_TARGET,
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": strategy.now(),
    }
    kept = [each for each in status.get("conditions") or () if each.get("type") != DISRUPTION_TARGET]
    return {**pod, "status": {**status, "conditions": [*kept, entry]}}


def _is_free(pod: Document) -> bool:
    """Whether no budget counts the pod: it has ended, it has not begun, or it is going already."""
    pending = (pod.get("status") or {}).get("phase", "Pending") == "Pending"
    return pending or is_finished(pod) or "deletionTimestamp" in pod["metadata"]


async def _taken(planner: Planner, view: View, namespace: str, pod: Document) -> Planned | None:
    """The write that takes the pod from its budget; None where it has none, or is missing there already."""
    labels = pod["metadata"].get("labels")
    budgets = [
        document
        for entry in await view.entries(POD_DISRUPTION_BUDGET, namespace)
        if label_selector.matches(((document := entry.document()).get("spec") or {}).get("selector"), labels)
    ]
    if not budgets:
        return None
    if len(budgets) > 1:
        raise ApiError(500, _SEVERAL, reason="InternalError")
    budget = budgets[0]
    if not is_ready(pod) and _is_missing_already(budget):
        return None
    name = pod["metadata"]["name"]
    writer = replace(PLATFORM, warnings=[])
    return await planner.update(
        view,
        writer,
        POD_DISRUPTION_BUDGET,
        namespace,
        budget["metadata"]["name"],
        lambda stored: _decremented(stored, name),
        "status",
    )


def _is_missing_already(budget: Document) -> bool:
    """Whether a pod that is not ready may go: it is none of those that the budget counts on."""
    status: Mapping[str, Any] = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return is_violation_tolerated(budget) or (desired > 0 and status.get("currentHealthy", 0) >= desired)


def _decremented(budget: Document, pod: str) -> Document:
    """``budget`` with one disruption less. Raises ApiError 403, 429 where it has none to give."""
    metadata, status = budget["metadata"], dict(budget.get("status") or {})
    name = metadata["name"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", _BUSY_SECONDS)
    allowed = status.get("disruptionsAllowed", 0)
    waiting: Mapping[str, str] = status.get("disruptedPods") or {}
    if len(waiting) > MOST_DISRUPTED:
        reason = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden(POD_DISRUPTION_BUDGET.group, POD_DISRUPTION_BUDGET.plural, name, reason)
    conditions = list(status.get("conditions") or ())
    if allowed <= 0:
        raise _too_many(_why_not(name, status, conditions))
    if allowed == 1:
        conditions = [
            _closed(each, metadata) if each.get("type") == DISRUPTION_ALLOWED else each for each in conditions
        ]
    status |= {
        "disruptionsAllowed": allowed - 1,
        "disruptedPods": {**waiting, pod: strategy.now()},
        "conditions": conditions,
    }
    return {**budget, "status": status}


def _why_not(name: str, status: Mapping[str, Any], conditions: list[Document]) -> str:
    for each in conditions:
        if each.get("type") == DISRUPTION_ALLOWED and each.get("reason") == SYNC_FAILED:
            return (
                f"The disruption budget {name} does not allow evicting pods currently because it failed sync: "
                f"{each.get('message', '')}"
            )
    return (
        f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
        f"{status.get('currentHealthy', 0)} currently"
    )


def _closed(condition: Document, metadata: Mapping[str, Any]) -> Document:
    changed = {"status": "False", "reason": INSUFFICIENT, "observedGeneration": metadata.get("generation", 0)}
    since = condition.get("lastTransitionTime") if condition.get("status") == "False" else strategy.now()
    return {**condition, **changed, "lastTransitionTime": since}


def _too_many(cause: str, seconds: int = 0) -> ApiError:
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    if seconds:
        details["retryAfterSeconds"] = seconds
    return ApiError(429, _REFUSED, details=details, headers={"Retry-After": str(seconds)} if seconds else None)
