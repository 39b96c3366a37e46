"""The checks of the level ``restricted``, beside those of ``baseline``: the known good practice of hardening pods.

Source: "Pod Security Standards" in the Kubernetes documentation, for each version of the policy.
"""

from __future__ import annotations

from moorage_tenants.podsecurity.baseline import Check, loose_seccomp, proc_mount
from moorage_tenants.podsecurity.baseline import seccomp as set_seccomp
from moorage_tenants.podsecurity.wording import (
    Part,
    Violation,
    containers,
    counted,
    in_user_namespace,
    is_windows,
    listed,
    named,
    names,
    of,
    setters,
)

_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
_ROOT_REASON = "runAsNonRoot != true"

proc_mount_restricted = proc_mount


def _not_on_windows(check: Check) -> Check:
    """What Windows does not have, its pods need not give up (since v1.25)."""
    return lambda metadata, spec: None if is_windows(spec) else check(metadata, spec)


def _not_in_user_namespace(check: Check) -> Check:
    """Root of a user namespace is nobody on the node (KEP-127, since v1.35)."""
    return lambda metadata, spec: None if in_user_namespace(spec) else check(metadata, spec)


def privilege_escalation(_metadata: Part, spec: Part) -> Violation | None:
    """No process gains more than its parent has."""
    bad = names(each for each in containers(spec) if of(each, "allowPrivilegeEscalation") is not False)
    if not bad:
        return None
    detail = f"{named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail)


def capabilities(_metadata: Part, spec: Part) -> Violation | None:
    """Everything is dropped; only low ports may be asked for."""
    keeping = names(each for each in containers(spec) if "ALL" not in (of(each, "capabilities", "drop") or ()))
    adding = {
        str(each.get("name", "")): set(of(each, "capabilities", "add") or ()) - {"NET_BIND_SERVICE"}
        for each in containers(spec)
    }
    greedy = [name for name, more in adding.items() if more]
    details = []
    if keeping:
        details.append(f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if greedy:
        found = listed(sorted({each for more in adding.values() for each in more}))
        details.append(f"{named(greedy)} must not include {found} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def volumes(_metadata: Part, spec: Part) -> Violation | None:
    """Storage comes through claims; beside them, only what is the pod's own."""
    bad = [each for each in spec.get("volumes") or () if not _VOLUMES & each.keys()]
    if not bad:
        return None
    kinds = sorted({next((key for key in each if key != "name"), "unknown") for each in bad})
    verb = counted("uses", "use", len(bad))
    noun = counted("restricted volume type", "restricted volume types", len(kinds))
    what = counted("volume", "volumes", len(bad))
    return Violation("restricted volume types", f"{what} {listed(names(bad))} {verb} {noun} {listed(kinds)}")


def non_root(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody runs as root, and all say so."""
    whole = of(spec, "runAsNonRoot")
    refusing = names(each for each in containers(spec) if of(each, "runAsNonRoot") is False)
    if who := setters(whole is False, refusing):
        return Violation(_ROOT_REASON, f"{who} must not set securityContext.runAsNonRoot=false")
    silent = [] if whole else names(each for each in containers(spec) if of(each, "runAsNonRoot") is None)
    if not silent:
        return None
    return Violation(_ROOT_REASON, f"pod or {named(silent)} must set securityContext.runAsNonRoot=true")


def root_user(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody asks for user 0."""
    who = setters(of(spec, "runAsUser") == 0, names(each for each in containers(spec) if of(each, "runAsUser") == 0))
    return Violation("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def seccomp(metadata: Part, spec: Part) -> Violation | None:
    """All are confined by a seccomp profile, and say so."""
    if (found := set_seccomp(metadata, spec)) is not None:
        return found
    confined = of(spec, "seccompProfile") is not None and not loose_seccomp(spec)
    silent = [] if confined else names(each for each in containers(spec) if of(each, "seccompProfile") is None)
    if not silent:
        return None
    detail = f'pod or {named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", detail)


privilege_escalation_25 = _not_on_windows(privilege_escalation)
capabilities_25 = _not_on_windows(capabilities)
seccomp_25 = _not_on_windows(seccomp)
non_root_35 = _not_in_user_namespace(non_root)
root_user_35 = _not_in_user_namespace(root_user)
