"""Which pods a node does not run at all."""

from __future__ import annotations

from typing import Any

import pytest

from moorage_agent.pods.admission import SAFE, refusal


def pod(*sysctls: str, **spec: Any) -> dict[str, Any]:
    """A pod with these sysctls."""
    return {"spec": {"securityContext": {"sysctls": [{"name": one, "value": "1"} for one in sysctls]}, **spec}}


def test_safe_sysctls_are_allowed() -> None:
    assert refusal(pod(*SAFE)) is None
    assert refusal(pod("net/ipv4/tcp_syncookies")) is None
    assert refusal({"spec": {"os": {"name": "linux"}}}) is None


def test_a_profile_needs_a_machine_that_enforces_it() -> None:
    profile = {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}}
    pod = {"spec": {"containers": [{"name": "c", **profile}]}}
    found = refusal(pod, apparmor=False)
    assert found is not None
    assert found.message == "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"
    assert refusal(pod, apparmor=True) is None
    assert refusal({"spec": {"containers": [{"name": "c"}]}}, apparmor=False) is None


@pytest.mark.parametrize(
    ("document", "reason", "text"),
    [
        (pod("kernel.msgmax"), "SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        (pod("kernel/msgmax"), "SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        (pod("net.ipv4.tcp_syncookies", hostNetwork=True), "SysctlForbidden", "not allowed with host net enabled"),
        (pod("kernel.shm_rmid_forced", hostIPC=True), "SysctlForbidden", "not allowed with host ipc enabled"),
        (pod(os={"name": "windows"}), "PodOSNotSupported", "the OS field doesn't match node OS"),
    ],
)
def test_what_could_harm_others_is_refused(document: dict[str, Any], reason: str, text: str) -> None:
    found = refusal(document)
    assert found is not None
    assert found.reason == reason
    assert found.message.startswith("Pod was rejected: ")
    assert text in found.message


def test_groups_that_cannot_be_kept_strictly_are_refused() -> None:
    def strict(**own: Any) -> dict[str, Any]:
        container = {"name": "c", "securityContext": own}
        return {"spec": {"securityContext": {"supplementalGroupsPolicy": "Strict"}, "containers": [container]}}

    assert refusal(strict(runAsUser=1, runAsGroup=1)) is None
    found = refusal(strict(runAsUser=1))
    assert found is not None
    assert found.reason == "SupplementalGroupsPolicyNotSupported"
