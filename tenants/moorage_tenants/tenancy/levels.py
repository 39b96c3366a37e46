"""Pod security levels of a tenant's namespaces: the tenant's own or stricter. Source: "Pod Security Admission"."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources.kind import Document, FieldError
from moorage.resources.tenancy import DEFAULT_POD_SECURITY
from moorage_tenants.tenancy.policy import Policy
from moorage_tenants.tenancy.refusals import beyond, refuse

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "warn", "audit")
STRICTNESS: Mapping[str, int] = {"privileged": 0, "baseline": 1, "restricted": 2}
LEVEL_LABELS = frozenset(f"{PREFIX}{mode}{suffix}" for mode in MODES for suffix in ("", "-version"))


def wanted_levels(spec: Document) -> dict[str, str]:
    """Labels of a namespace of a Tenant with this spec."""
    levels = spec.get("podSecurity") or {}
    wanted = {f"{PREFIX}enforce": levels.get("enforce") or DEFAULT_POD_SECURITY}
    return wanted | {f"{PREFIX}{mode}": levels[mode] for mode in MODES[1:] if levels.get(mode)}


def level_refusals(policy: Policy, key: str, value: str | None, path: str) -> list[FieldError]:
    """What stands against ``value`` (None: the label is taken away) for ``key``."""
    name = policy.name
    if key.endswith("-version"):
        if value in (None, "latest"):
            return []
        # An older version of a level lacks what was forbidden since.
        what, field = f"pin {key.removeprefix(PREFIX)}", "spec.podSecurity"
        return [beyond(path, name, what, field, "latest", "leave it out")]
    mode = key.removeprefix(PREFIX)
    least = wanted_levels(policy.spec).get(key)
    if least is None or (value is not None and STRICTNESS.get(value, -1) >= STRICTNESS[least]):
        return []
    if value is None:
        text = f'every namespace of tenant "{name}" has this label; the level may be made stricter, not taken away'
        return [refuse(path, text)]
    allowed = ", ".join(level for level, order in STRICTNESS.items() if order >= STRICTNESS[least])
    what, field = f'lower the pod security level "{mode}" to {value}', f"spec.podSecurity.{mode}"
    return [beyond(path, name, what, field, allowed, "use one of these")]
