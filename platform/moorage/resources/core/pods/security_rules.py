"""Rules of security contexts, of pods and of containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moorage.resources.checks import Errors, check_id, check_local_path
from moorage.resources.field_errors import duplicate, forbidden, invalid, not_supported, required, too_long

Part = Mapping[str, Any]

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_sysctl = re.compile(_SYSCTL).fullmatch
_SYSCTL_LENGTH = 253
_PROFILE_LENGTH = 4095
_GROUP_CHANGES = ("Always", "OnRootMismatch")
_GROUP_POLICIES = ("Merge", "Strict")
_LABEL_CHANGES = ("MountOption", "Recursive")
_PROC_MOUNTS = ("Default", "Unmasked")
_NETWORK_SYSCTLS = ("net.",)
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


def _check_seccomp(errors: Errors, path: str, profile: Part) -> None:
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in _PROFILES:
        errors.append(not_supported(f"{path}.type", kind, _PROFILES))
    if kind == "Localhost":
        if local is None:
            errors.append(required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            check_local_path(errors, f"{path}.localhostProfile", local)
    elif local is not None:
        detail = "can only be set when seccomp type is Localhost"
        errors.append(invalid(f"{path}.localhostProfile", profile, detail))


def _check_app_armor(errors: Errors, path: str, profile: Part) -> None:
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        errors.append(required(f"{path}.type", "type is required when appArmorProfile is set"))
    elif kind not in _PROFILES:
        errors.append(not_supported(f"{path}.type", kind, _PROFILES))
    elif kind != "Localhost":
        if local is not None:
            detail = "can only be set when AppArmor type is Localhost"
            errors.append(invalid(f"{path}.localhostProfile", local, detail))
    elif not local:
        errors.append(required(f"{path}.localhostProfile", "must be set when AppArmor type is Localhost"))
    elif local.strip() != local:
        errors.append(invalid(f"{path}.localhostProfile", local, "must not be padded with whitespace"))
    elif len(local) > _PROFILE_LENGTH:
        errors.append(too_long(f"{path}.localhostProfile", _PROFILE_LENGTH))


def _check_profiles(errors: Errors, path: str, context: Part) -> None:
    if "seccompProfile" in context:
        _check_seccomp(errors, f"{path}.seccompProfile", context["seccompProfile"])
    if "appArmorProfile" in context:
        _check_app_armor(errors, f"{path}.appArmorProfile", context["appArmorProfile"])


def _check_sysctls(errors: Errors, path: str, context: Part, spec: Part) -> None:
    seen: set[str] = set()
    for index, sysctl in enumerate(context["sysctls"]):
        here, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            errors.append(required(here))
        elif len(name) > _SYSCTL_LENGTH or not _sysctl(name):
            detail = f"must have at most {_SYSCTL_LENGTH} characters and match regex ^{_SYSCTL}$"
            errors.append(invalid(here, name, detail))
        elif name in seen:
            errors.append(duplicate(here, name))
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith(_NETWORK_SYSCTLS):
            errors.append(invalid(here, name, "may not be specified when 'hostNetwork' is true"))
        if spec.get("hostIPC") and dotted.startswith(_IPC_SYSCTLS):
            errors.append(invalid(here, name, "may not be specified when 'hostIPC' is true"))
        seen.add(name)


def check_pod_context(errors: Errors, path: str, spec: Part) -> None:
    """``securityContext`` of a pod at ``path``."""
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{path}.shareProcessNamespace", True, detail))
    context = spec.get("securityContext")
    if not context:
        return
    check_id(errors, f"{path}.fsGroup", context.get("fsGroup"))
    check_id(errors, f"{path}.runAsUser", context.get("runAsUser"))
    check_id(errors, f"{path}.runAsGroup", context.get("runAsGroup"))
    for index, group in enumerate(context.get("supplementalGroups", ())):
        check_id(errors, f"{path}.supplementalGroups[{index}]", group)
    if "sysctls" in context:
        _check_sysctls(errors, f"{path}.sysctls", context, spec)
    for name, choices in (
        ("fsGroupChangePolicy", _GROUP_CHANGES),
        ("supplementalGroupsPolicy", _GROUP_POLICIES),
        ("seLinuxChangePolicy", _LABEL_CHANGES),
    ):
        if name in context and context[name] not in choices:
            errors.append(not_supported(f"{path}.{name}", context[name], choices))
    _check_profiles(errors, path, context)


def check_container_context(errors: Errors, path: str, context: Part, *, host_users: bool) -> None:
    """``securityContext`` of a container."""
    check_id(errors, f"{path}.runAsUser", context.get("runAsUser"))
    check_id(errors, f"{path}.runAsGroup", context.get("runAsGroup"))
    mount = context.get("procMount")
    if mount is not None:
        if mount not in _PROC_MOUNTS:
            errors.append(not_supported(f"{path}.procMount", mount, _PROC_MOUNTS))
        if host_users and mount == "Unmasked":
            errors.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    _check_profiles(errors, path, context)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(invalid(path, context, detail))
        if "CAP_SYS_ADMIN" in (context.get("capabilities") or {}).get("add", ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(invalid(path, context, detail))


def check_host_users(errors: Errors, path: str, spec: Part) -> None:
    """A pod with users of its own shares none of the host's namespaces."""
    if spec.get("hostUsers") is False:
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(name):
                errors.append(forbidden(f"{path}.{name}", "when `pod.Spec.HostUsers` is false"))
