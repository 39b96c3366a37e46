"""What a Tenant's status says: how it is, what it has, when it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moorage.client.objects import Document, condition, is_deleting, timestamp, with_condition
from moorage.resources.tenancy import delete_at, hard_limits

STOPPED = "WorkloadsStopped"
READY = "Ready"
_TOLD: Mapping[bool | None, tuple[str, str]] = {
    True: ("Deletion", "scaled to zero, suspended, or kept as a template"),
    False: ("Restored", "as before"),
    None: ("Working", "being stopped or started"),
}


def phase(tenant: Document) -> str:
    """Active, Suspended, Deleting (can be restored) or Terminating (cannot)."""
    spec = tenant.get("spec") or {}
    if is_deleting(tenant):
        return "Terminating"
    if spec.get("deletion") is not None:
        return "Deleting"
    return "Suspended" if spec.get("suspended") else "Active"


def tenant_status(
    tenant: Document, namespaces: Sequence[str], *, problem: str, stopped: bool | None, now: float
) -> Document:
    """The status, but for what the API server counts (``usage``). ``problem``: what keeps namespaces from being in order;
    ``stopped``: whether workloads are, None while they are on the way.
    """
    old = tenant.get("status") or {}
    due = delete_at(tenant)
    status: Document = {
        **{name: value for name, value in old.items() if name != "deleteAt"},
        "phase": phase(tenant),
        "observedGeneration": tenant["metadata"].get("generation", 1),
        "namespaces": sorted(namespaces),
        "namespaceCount": len(namespaces),
    }
    if due is not None:
        status["deleteAt"] = timestamp(due)
    if "usage" in status:
        status["usage"] = _still_limited(status["usage"], hard_limits(tenant))
    conditions = list(old.get("conditions") or ())
    ready = _condition(
        READY,
        not problem,
        "NamespacesInOrder" if not problem else "NamespacesNotInOrder",
        problem or "every namespace holds what the tenant asks for",
        tenant,
        now,
    )
    conditions = with_condition(conditions, ready)
    if stopped is not False or condition(tenant, STOPPED) is not None:
        reason, text = _TOLD[stopped]
        conditions = with_condition(conditions, _condition(STOPPED, stopped, reason, text, tenant, now))
    return {**status, "conditions": conditions}


def _still_limited(usage: Document, hard: Mapping[str, str]) -> Document:
    """What was counted, without what is no longer limited."""
    return {
        part: {name: text for name, text in (usage.get(part) or {}).items() if name in hard}
        for part in ("hard", "used")
    }


def _condition(kind: str, holds: bool | None, reason: str, message: str, tenant: Document, now: float) -> Document:
    value = "Unknown" if holds is None else str(holds)
    before = condition(tenant, kind)
    same = before is not None and before.get("status") == value
    since = before.get("lastTransitionTime") if same and before is not None else timestamp(now)
    return {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "observedGeneration": tenant["metadata"].get("generation", 1),
        "lastTransitionTime": since,
    }


def is_stopped(tenant: Document) -> bool | None:
    """Whether the tenant's workloads stand still; None where they are on the way there or back."""
    told = (condition(tenant, STOPPED) or {}).get("status", "False")
    return {"True": True, "False": False}.get(told)


def wants_stop(tenant: Document) -> bool:
    """Whether the tenant's workloads are to be scaled to zero."""
    deletion = (tenant.get("spec") or {}).get("deletion") or {}
    return deletion.get("workloads") == "Stop"
