"""Pod security levels of a tenant's namespaces: the tenant's own or stricter. Source: "Pod Security Admission"."""

from __future__ import annotations

from moorage.resources.kind import FieldError
from moorage.resources.tenancy_objects import LEVEL_MODES, LEVEL_PREFIX, STRICTNESS, wanted_levels
from moorage_tenants.tenancy.policy import Policy
from moorage_tenants.tenancy.refusals import beyond, refuse

LEVEL_LABELS = frozenset(f"{LEVEL_PREFIX}{mode}{suffix}" for mode in LEVEL_MODES for suffix in ("", "-version"))


def level_refusals(policy: Policy, key: str, value: str | None, path: str) -> list[FieldError]:
    """What stands against ``value`` (None: the label is taken away) for ``key``."""
    name = policy.name
    if key.endswith("-version"):
        if value in (None, "latest"):
            return []
        # An older version of a level lacks what was forbidden since.
        what, field = f"pin {key.removeprefix(LEVEL_PREFIX)}", "spec.podSecurity"
        return [beyond(path, name, what, field, "latest", "leave it out")]
    mode = key.removeprefix(LEVEL_PREFIX)
    least = wanted_levels(policy.spec).get(key)
    if least is None or (value is not None and STRICTNESS.get(value, -1) >= STRICTNESS[least]):
        return []
    if value is None:
        text = f'every namespace of tenant "{name}" has this label; the level may be made stricter, not taken away'
        return [refuse(path, text)]
    allowed = ", ".join(level for level, order in STRICTNESS.items() if order >= STRICTNESS[least])
    what, field = f'lower the pod security level "{mode}" to {value}', f"spec.podSecurity.{mode}"
    return [beyond(path, name, what, field, allowed, "use one of these")]
