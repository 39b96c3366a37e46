"""Who comes before whom: a class above the ordinary makes pods of other tenants go (preemption), so a Tenant must name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.api.contracts import View
from moorage.resources.kind import FieldError
from moorage.resources.scheduling import PRIORITY_CLASS
from moorage_tenants.tenancy.policy import Policy
from moorage_tenants.tenancy.refusals import beyond


async def rank_refusals(view: View, policy: Policy, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """What stands against the class that the pod's ``spec`` at ``path`` names, where the Tenant names none that it may have.

    Ordinary is what pods get that name no class: the default class's priority, or 0.
    """
    name = spec.get("priorityClassName", "")
    if not name or policy.priorities is not None:
        return []
    entry = await view.get(PRIORITY_CLASS, "", name)
    if entry is None:
        return []
    value: int = entry.document().get("value", 0)
    classes = [each.document() for each in await view.entries(PRIORITY_CLASS, None)]
    ordinary = min((each.get("value", 0) for each in classes if each.get("globalDefault")), default=0)
    if value <= ordinary:
        return []
    what = f'use the priority class "{name}" ({value}), whose pods make those of other tenants go'
    allowed = f"all up to {ordinary}, as nothing is set"
    return [
        beyond(f"{path}.priorityClassName", policy.name, what, "spec.priorityClasses.allowed", allowed, "leave it out")
    ]
