"""Pods that this node does not run at all, whoever bound them to it. Pure.

Source: the kubelet's admit handlers (``pkg/kubelet/sysctl/allowlist.go``, ``safe_sysctls.go``; ``lifecycle/predicate.go``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage_agent.pods import confinement
from moorage_agent.pods.observed import Verdict, every_container

SAFE = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    )
)
"""Sysctls that cannot harm other pods."""


def refusal(pod: Mapping[str, Any], *, apparmor: bool = True) -> Verdict | None:
    """Why the pod fails here before anything of it is started; None where nothing speaks against it. ``apparmor``: whether the
    machine has it.
    """
    spec = pod["spec"]
    system = (spec.get("os") or {}).get("name") or "linux"
    if system != "linux":
        return rejected("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    if not apparmor and any(_wants_apparmor(pod, one) for one in every_container(pod)):
        return rejected("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host")
    policy = (spec.get("securityContext") or {}).get("supplementalGroupsPolicy")
    if policy == "Strict" and any(_wants_unknown_groups(pod, one) for one in every_container(pod)):
        message = "SupplementalGroupsPolicy=Strict without runAsGroup is not supported in this node"
        return rejected("SupplementalGroupsPolicyNotSupported", message)
    for one in (spec.get("securityContext") or {}).get("sysctls") or ():
        name = one["name"].replace("/", ".")
        if name not in SAFE:
            return rejected("SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted')
        if name.startswith("net.") and spec.get("hostNetwork"):
            return rejected("SysctlForbidden", f'forbidden sysctl: "{name}" not allowed with host net enabled')
        if name.startswith("kernel.") and spec.get("hostIPC"):
            return rejected("SysctlForbidden", f'forbidden sysctl: "{name}" not allowed with host ipc enabled')
    return None


def _wants_apparmor(pod: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    return confinement.of(pod, container, "appArmorProfile").get("type") not in (None, "Unconfined")


def _wants_unknown_groups(pod: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    """Whether Docker would add the image's groups, which it does not where a group is given (KEP-3619)."""
    whole = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    return {**whole, **own}.get("runAsGroup") is None


def rejected(reason: str, message: str) -> Verdict:
    """What becomes of a pod that is not let in."""
    return Verdict(reason, f"Pod was rejected: {message}", 0.0, refused=True)
