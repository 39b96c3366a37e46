"""Sizes of ReplicaSets during a rollout: one step at a time, never above surge, never below what must stay available.

Source: Kubernetes' ``rolling.go`` and ``recreate.go``. Only numbers go in and come out; the property tests generate them.
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.controllers.deployment.view import DeploymentView, ReplicaSetView, oldest_first, total

Sizes = dict[str, int]
"""New ``spec.replicas`` by name of ReplicaSet; what is not named keeps its size."""


def new_size(deployment: DeploymentView, sets: Sequence[ReplicaSetView], current: int) -> int:
    """How large the new ReplicaSet may be, which is ``current`` now. ``sets`` are all, the new one too."""
    if deployment.recreate or current >= deployment.replicas:
        return deployment.replicas
    room = deployment.replicas + deployment.max_surge - total(sets)
    return current + max(0, min(room, deployment.replicas - current))


def rolling_step(deployment: DeploymentView, new: ReplicaSetView, old: Sequence[ReplicaSetView]) -> Sizes:
    """Either the new ReplicaSet's next size or the old ones'; empty where nothing may or need move."""
    size = new_size(deployment, [new, *old], new.replicas)
    if size != new.replicas:
        return {new.name: size}
    return _shrink_old(deployment, new, oldest_first(old))


def _shrink_old(deployment: DeploymentView, new: ReplicaSetView, old: Sequence[ReplicaSetView]) -> Sizes:
    """First pods that are not available anyway, then as many as availability allows."""
    must_stay = deployment.replicas - deployment.max_unavailable
    not_there_yet = new.replicas - new.lasting
    spare = total([new, *old]) - must_stay - not_there_yet
    sizes: Sizes = {}
    if total(old) == 0 or spare <= 0:
        return sizes
    removed = 0
    for each in old:
        unhealthy = min(spare - removed, each.replicas - each.lasting)
        if unhealthy > 0:
            sizes[each.name] = each.replicas - unhealthy
            removed += unhealthy
    spare = new.lasting + sum(each.lasting for each in old) - must_stay
    for each in old:
        size = sizes.get(each.name, each.replicas)
        healthy = min(size, spare)
        if healthy > 0:
            sizes[each.name] = size - healthy
            spare -= healthy
    return sizes


def all_to_zero(sets: Sequence[ReplicaSetView]) -> Sizes:
    """Recreate, and old sets of a finished rollout: no pods at all."""
    return {each.name: 0 for each in sets if each.replicas}
