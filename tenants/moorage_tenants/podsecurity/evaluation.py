"""Which checks hold at a level and version, and what they say of a pod."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from moorage_tenants.podsecurity import baseline, restricted
from moorage_tenants.podsecurity.baseline import Check
from moorage_tenants.podsecurity.levels import BASELINE, PRIVILEGED, RESTRICTED, Standard
from moorage_tenants.podsecurity.wording import Part, Violation


class Rule(NamedTuple):
    """A check as it changed over time: (first minor version, function), oldest first. From where a restricted rule begins,
    it says all that the baseline rule named ``instead_of`` says.
    """

    name: str
    level: str
    versions: tuple[tuple[int, Check], ...]
    instead_of: str = ""

    def at(self, minor: int) -> Check | None:
        """The function that is right for a version; None before the first."""
        return next((check for first, check in reversed(self.versions) if first <= minor), None)


RULES = (
    Rule("appArmorProfile", BASELINE, ((0, baseline.app_armor),)),
    Rule("capabilities_baseline", BASELINE, ((0, baseline.capabilities),)),
    Rule("hostNamespaces", BASELINE, ((0, baseline.host_namespaces),)),
    Rule("hostPathVolumes", BASELINE, ((0, baseline.host_paths),)),
    Rule("hostPorts", BASELINE, ((0, baseline.host_ports),)),
    Rule("hostProbesAndHostLifecycle", BASELINE, ((34, baseline.probe_hosts),)),
    Rule("privileged", BASELINE, ((0, baseline.privileged),)),
    Rule("procMount_baseline", BASELINE, ((0, baseline.proc_mount), (35, baseline.proc_mount_35))),
    Rule("seLinuxOptions", BASELINE, ((0, baseline.selinux), (31, baseline.selinux_31))),
    Rule("seccompProfile_baseline", BASELINE, ((0, baseline.seccomp_annotations), (19, baseline.seccomp))),
    Rule(
        "sysctls",
        BASELINE,
        ((0, baseline.sysctls), (27, baseline.sysctls_27), (29, baseline.sysctls_29), (32, baseline.sysctls_32)),
    ),
    Rule("windowsHostProcess", BASELINE, ((0, baseline.host_process),)),
    Rule(
        "allowPrivilegeEscalation",
        RESTRICTED,
        ((8, restricted.privilege_escalation), (25, restricted.privilege_escalation_25)),
    ),
    Rule(
        "capabilities_restricted",
        RESTRICTED,
        ((22, restricted.capabilities), (25, restricted.capabilities_25)),
        "capabilities_baseline",
    ),
    Rule("procMount_restricted", RESTRICTED, ((35, restricted.proc_mount_restricted),), "procMount_baseline"),
    Rule("restrictedVolumes", RESTRICTED, ((0, restricted.volumes),), "hostPathVolumes"),
    Rule("runAsNonRoot", RESTRICTED, ((0, restricted.non_root), (35, restricted.non_root_35))),
    Rule("runAsUser", RESTRICTED, ((23, restricted.root_user), (35, restricted.root_user_35))),
    Rule(
        "seccompProfile_restricted",
        RESTRICTED,
        ((19, restricted.seccomp), (25, restricted.seccomp_25)),
        "seccompProfile_baseline",
    ),
)
"""Baseline first, each level by name: the order in which violations are told."""


@lru_cache(256)
def _checks(standard: Standard) -> Sequence[Check]:
    if standard.level == PRIVILEGED:
        return ()
    levels = (BASELINE,) if standard.level == BASELINE else (BASELINE, RESTRICTED)
    rules = [(rule, rule.at(standard.minor)) for rule in RULES if rule.level in levels]
    replaced = {rule.instead_of for rule, check in rules if check is not None}
    return tuple(check for rule, check in rules if check is not None and rule.name not in replaced)


def violations(standard: Standard, metadata: Part, spec: Part) -> list[Violation]:
    """Everything in which a pod (or the template of pods) breaks ``standard``."""
    return [found for check in _checks(standard) if (found := check(metadata, spec)) is not None]


def reasons(found: Sequence[Violation]) -> str:
    """The rules that are broken, without where."""
    return ", ".join(each.reason for each in found)


def details(found: Sequence[Violation]) -> str:
    """The rules that are broken, and where."""
    return ", ".join(map(str, found))
