"""What LimitRanges add to containers, and what they refuse. Pure: the admission is ``limit_ranges``.

Source: "Limit Ranges" in the Kubernetes documentation; the messages are those of its ``LimitRanger`` plugin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from moorage.resources import quantity
from moorage.resources.core.limit_ranges import CLAIM, CONTAINER, POD
from moorage.resources.core.pods.amounts import pod_amounts
from moorage.resources.kind import Document
from moorage.resources.quota_amounts import shown

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, str]
Item = Mapping[str, Any]


def items(limit_range: Document, kind: str) -> list[Item]:
    """The items of a LimitRange that are for ``kind``."""
    return [item for item in (limit_range.get("spec") or {}).get("limits") or () if item.get("type") == kind]


def default_containers(limit_range: Document, pod: Document) -> None:
    """Give containers without requests or limits those of ``limit_range``, in place; an annotation says so."""
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in items(limit_range, CONTAINER):
        limits.update(item.get("default", {}))
        requests.update(item.get("defaultRequest", {}))
    if not limits and not requests:
        return
    spec = pod.setdefault("spec", {})
    notes: list[str] = []
    for name, words in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(name) or ():
            for which, word, defaults in (("requests", "request", requests), ("limits", "limit", limits)):
                if added := _fill(container, which, defaults):
                    notes.append(f"{', '.join(added)} {word} for {words} {container.get('name', '')}")
    if notes:
        annotations = pod.setdefault("metadata", {}).setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def _fill(container: dict[str, Any], which: str, defaults: Amounts) -> list[str]:
    given: Amounts = (container.get("resources") or {}).get(which) or {}
    missing = sorted(name for name in defaults if name not in given)
    if missing:
        resources = container.setdefault("resources", {})
        resources[which] = {**given, **{name: defaults[name] for name in missing}}
    return missing


def pod_problems(limit_range: Document, pod: Document) -> Iterator[str]:
    """Why ``limit_range`` refuses the pod."""
    spec: Mapping[str, Any] = pod.get("spec") or {}
    containers: Sequence[Item] = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for item in items(limit_range, CONTAINER):
        for container in containers:
            resources = container.get("resources") or {}
            yield from _item_problems(CONTAINER, item, resources.get("requests") or {}, resources.get("limits") or {})
    for item in items(limit_range, POD):
        yield from _item_problems(POD, item, _total(spec, "requests"), _total(spec, "limits"))


def _total(spec: Mapping[str, Any], which: str) -> Amounts:
    return {name: shown(name, value) for name, value in pod_amounts(spec, which).items()}


def claim_problems(limit_range: Document, claim: Document) -> Iterator[str]:
    """Why ``limit_range`` refuses the claim."""
    requests: Amounts = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    for item in items(limit_range, CLAIM):
        for name, least in sorted(item.get("min", {}).items()):
            yield from _at_least(CLAIM, name, least, requests, {})
        for name, most in sorted(item.get("max", {}).items()):
            yield from _requests_at_most(CLAIM, name, most, requests)


def _item_problems(kind: str, item: Item, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in sorted(item.get("min", {}).items()):
        yield from _at_least(kind, name, least, requests, limits)
    for name, most in sorted(item.get("max", {}).items()):
        yield from _at_most(kind, name, most, requests, limits)
    for name, ratio in sorted(item.get("maxLimitRequestRatio", {}).items()):
        yield from _within_ratio(kind, name, ratio, requests, limits)


def _at_least(kind: str, name: str, least: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    bound = f"minimum {name} usage per {kind} is {least}"
    request, limit = requests.get(name), limits.get(name)
    if request is None:
        yield f"{bound}.  No request is specified"
    elif quantity.compare(request, least) < 0:
        yield f"{bound}, but request is {request}"
    elif limit is not None and quantity.compare(limit, least) < 0:
        yield f"{bound}, but limit is {limit}"


def _at_most(kind: str, name: str, most: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    bound = f"maximum {name} usage per {kind} is {most}"
    request, limit = requests.get(name), limits.get(name)
    if limit is None:
        yield f"{bound}.  No limit is specified"
    elif quantity.compare(limit, most) > 0:
        yield f"{bound}, but limit is {limit}"
    elif request is not None and quantity.compare(request, most) > 0:
        yield f"{bound}, but request is {request}"


def _requests_at_most(kind: str, name: str, most: str, requests: Amounts) -> Iterator[str]:
    bound = f"maximum {name} usage per {kind} is {most}"
    request = requests.get(name)
    if request is None:
        yield f"{bound}.  No request is specified"
    elif quantity.compare(request, most) > 0:
        yield f"{bound}, but request is {request}"


def _within_ratio(kind: str, name: str, ratio: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    bound = f"{name} max limit to request ratio per {kind} is {ratio}"
    request, limit = (quantity.parse(each.get(name, "0")).nanos for each in (requests, limits))
    if not request:
        yield f"{bound}, but no request is specified or request is 0"
    elif not limit:
        yield f"{bound}, but no limit is specified or limit is 0"
    elif Fraction(limit, request) > Fraction(quantity.parse(ratio).nanos, quantity.NANO):
        yield f"{bound}, but provided ratio is {limit / request:f}"
