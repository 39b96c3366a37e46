"""What a PodDisruptionBudget's status should say: a pure function of the budget, its pods, and what their owners want.

Source: Kubernetes' ``pkg/controller/disruption/disruption.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from moorage.client.objects import Document, controller_of, is_deleting, seconds_of, timestamp, with_condition
from moorage.controllers.pods import is_ready
from moorage.resources import intstr, label_selector
from moorage.resources.policy import DISRUPTION_ALLOWED, INSUFFICIENT, SUFFICIENT, SYNC_FAILED

CONFIRM_SECONDS = 120.0
"""How long an eviction that was granted may take to show on its pod, before it counts as one that never came."""


class Owner(NamedTuple):
    """Who wants pods, and how many."""

    uid: str
    replicas: int


Scale = Callable[[Document], Owner | None]
"""Who wants the pods of a controller reference; None where nobody knows."""


class NoScale(Exception):
    """Pods of an owner of which nobody knows how many it wants: a share of them cannot be told."""


class Expected(NamedTuple):
    """How many pods there should be, and how many of them must be healthy."""

    pods: int
    healthy: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The pods whose eviction was granted and has not shown yet, when to look again, and who never went."""

    waiting: dict[str, str] = field(default_factory=dict)
    again: float | None = None
    late: tuple[Document, ...] = ()


def chosen(budget: Document, pods: Iterable[Document]) -> list[Document]:
    """The pods (of the budget's namespace) that the budget is about."""
    selector = (budget.get("spec") or {}).get("selector")
    return [pod for pod in pods if label_selector.matches(selector, pod["metadata"].get("labels"))]


def expected(spec: Mapping[str, Any], pods: Sequence[Document], scale: Scale) -> Expected:
    """What ``minAvailable`` or ``maxUnavailable`` comes to. Raises NoScale."""
    if "maxUnavailable" in spec:
        total = _wanted(pods, scale)
        unavailable = intstr.scaled(spec["maxUnavailable"], total, round_up=True)
        return Expected(total, max(0, total - unavailable))
    least = spec.get("minAvailable")
    if isinstance(least, str):
        total = _wanted(pods, scale)
        return Expected(total, intstr.scaled(least, total, round_up=True))
    return Expected(len(pods), 0 if least is None else least)


def _wanted(pods: Iterable[Document], scale: Scale) -> int:
    """The replicas of all owners of ``pods``, each once. Pods without an owner are nobody's to count."""
    owners: dict[str, Owner] = {}
    for pod in pods:
        reference = controller_of(pod)
        if reference is None or reference["uid"] in owners:
            continue
        owner = scale(reference)
        if owner is None:
            kind, name = reference.get("kind"), reference.get("name")
            raise NoScale(f"found no scale for {kind} {name}, the controller of pod {pod['metadata']['name']}")
        owners[reference["uid"]] = owner
    return sum(owner.replicas for owner in set(owners.values()))


def granted(status: Mapping[str, Any], pods: Iterable[Document], now: float) -> Granted:
    """Of the evictions that the API granted those that still count."""
    noted: Mapping[str, str] = status.get("disruptedPods") or {}
    waiting: dict[str, str] = {}
    late: list[Document] = []
    again: float | None = None
    for pod in pods:
        text = noted.get(pod["metadata"]["name"])
        if text is None or is_deleting(pod):
            continue
        left = (seconds_of(text) or now) + CONFIRM_SECONDS - now
        if left <= 0:
            late.append(pod)
            continue
        waiting[pod["metadata"]["name"]] = text
        again = left if again is None else min(again, left)
    return Granted(waiting, again, tuple(late))


def healthy(pods: Iterable[Document], waiting: Mapping[str, str]) -> int:
    """Pods that are ready and will stay."""
    return sum(not is_deleting(pod) and pod["metadata"]["name"] not in waiting and is_ready(pod) for pod in pods)


def status(budget: Document, pods: Sequence[Document], want: Expected, known: Granted, now: float) -> Document:
    """The budget's status."""
    current = healthy(pods, known.waiting)
    allowed = max(0, current - want.healthy) if want.pods > 0 else 0
    wanted: Document = {
        "currentHealthy": current,
        "desiredHealthy": want.healthy,
        "expectedPods": want.pods,
        "disruptionsAllowed": allowed,
    }
    if known.waiting:
        wanted["disruptedPods"] = known.waiting
    return _with_verdict(budget, wanted, allowed > 0, SUFFICIENT if allowed else INSUFFICIENT, "", now)


def failed(budget: Document, message: str, now: float) -> Document:
    """The status where the count failed: nothing is allowed until somebody puts it right."""
    wanted = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
    for name in ("currentHealthy", "desiredHealthy", "expectedPods"):
        wanted.setdefault(name, 0)
    return _with_verdict(budget, wanted, False, SYNC_FAILED, message, now)


def _with_verdict(budget: Document, wanted: Document, holds: bool, reason: str, message: str, now: float) -> Document:
    generation = budget["metadata"].get("generation", 0)
    before: Sequence[Document] = (budget.get("status") or {}).get("conditions") or ()
    old = next((each for each in before if each.get("type") == DISRUPTION_ALLOWED), {})
    told = "True" if holds else "False"
    since = old.get("lastTransitionTime") if old.get("status") == told else None
    entry = {
        "type": DISRUPTION_ALLOWED,
        "status": told,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": since or timestamp(now),
    }
    return {**wanted, "observedGeneration": generation, "conditions": with_condition(before, entry)}
