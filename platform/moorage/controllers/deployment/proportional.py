"""Scaling in the middle of a rollout: every ReplicaSet grows or shrinks in proportion, so that a bad version does not get all.

Source: Kubernetes' ``sync.go`` (``scale``) and ``deployment_util.go`` (``GetReplicaSetProportion``).
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.client.objects import is_deleting
from moorage.controllers.deployment.rollout import Sizes, all_to_zero
from moorage.controllers.deployment.view import DESIRED, MAX_REPLICAS, DeploymentView, ReplicaSetView, total


def is_scaling(deployment: DeploymentView, sets: Sequence[ReplicaSetView]) -> bool:
    """Whether ``spec.replicas`` changed since the ReplicaSets with pods were last sized."""
    active = [each for each in sets if each.replicas]
    if deployment.recreate and len(active) > 1:
        return False  # nothing to keep in proportion: the old ones are about to go
    desired = [each.annotations.get(DESIRED, "") for each in active]
    return any(text.isdecimal() and int(text) != deployment.replicas for text in desired)


def scaled_sizes(deployment: DeploymentView, new: ReplicaSetView | None, old: Sequence[ReplicaSetView]) -> Sizes:
    """New sizes after a change of ``spec.replicas``, or while paused. All ReplicaSets named are to be annotated anew, also
    where their size stays.
    """
    sets = [*old, *([new] if new else [])]
    active = [each for each in sets if each.replicas]
    if len(active) <= 1:
        only = active[0] if active else new or max(old, key=lambda each: each.created, default=None)
        return {only.name: deployment.replicas} if only and only.replicas != deployment.replicas else _same(only)
    if new is not None and _saturated(deployment, new):
        return all_to_zero(old)
    return {} if deployment.recreate else _spread(deployment, active)


def _same(only: ReplicaSetView | None) -> Sizes:
    return {only.name: only.replicas} if only else {}


def _saturated(deployment: DeploymentView, new: ReplicaSetView) -> bool:
    """Whether the new ReplicaSet alone carries the Deployment."""
    text = new.annotations.get(DESIRED, "")
    desired = int(text) if text.isdecimal() else -1
    wanted = deployment.replicas
    return new.replicas == wanted and desired == wanted and new.available == wanted and not is_deleting(new.document)


def _spread(deployment: DeploymentView, active: Sequence[ReplicaSetView]) -> Sizes:
    allowed = deployment.replicas + deployment.max_surge if deployment.replicas > 0 else 0
    to_add = allowed - total(active)
    newest = sorted(active, key=lambda each: (each.created, each.name), reverse=to_add > 0)
    ordered = sorted(newest, key=lambda each: -each.replicas)
    sizes: Sizes = {}
    added = 0
    for each in ordered:
        share = _share(deployment, each, to_add, added)
        sizes[each.name] = each.replicas + share
        added += share
    first = ordered[0].name
    sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _share(deployment: DeploymentView, each: ReplicaSetView, to_add: int, added: int) -> int:
    left = to_add - added
    if left == 0:
        return 0
    fraction = _fraction(deployment, each)
    return max(0, min(fraction, left)) if to_add > 0 else min(0, max(fraction, left))


def _fraction(deployment: DeploymentView, each: ReplicaSetView) -> int:
    """By how much the ReplicaSet would change if it kept its part of the whole."""
    if deployment.replicas == 0:
        return -each.replicas
    text = each.annotations.get(MAX_REPLICAS, "")
    before = int(text) if text.isdecimal() else 0
    before = before or int(deployment.status.get("replicas") or 0)
    if not before:
        return 0
    exact = each.replicas * (deployment.replicas + deployment.max_surge) / before
    return int(exact + 0.5) - each.replicas
