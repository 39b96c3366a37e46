"""Every check: pods that it lets pass, pods that it refuses, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from moorage_tenants.podsecurity import baseline, restricted
from moorage_tenants.podsecurity.baseline import Check

Document = dict[str, Any]


def c(name: str = "c", **security: Any) -> Document:
    """A container with a security context."""
    return {"name": name, "image": "i", "securityContext": security}


def spec(*containers: Document, **more: Any) -> Document:
    return {"containers": list(containers) or [{"name": "c", "image": "i"}], **more}


def whole(*containers: Document, **security: Any) -> Document:
    """A spec with a security context of the pod."""
    return spec(*containers, securityContext=security)


def volume(kind: str, name: str = "v") -> Document:
    return {"name": name, kind: {}}


def judged(check: Check, of: Document, annotations: dict[str, str] | None = None) -> str:
    found = check({"annotations": annotations or {}}, of)
    return "" if found is None else str(found)


PLAIN = spec()
ARMOR = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
POD_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"


@pytest.mark.parametrize(
    ("check", "of"),
    [
        (baseline.app_armor, whole(c(appArmorProfile={"type": "Localhost"}), appArmorProfile={"type": "RuntimeDefault"})),
        (baseline.capabilities, spec(c(capabilities={"add": ["CHOWN", "NET_BIND_SERVICE"], "drop": ["NET_RAW"]}))),
        (baseline.host_namespaces, spec(hostNetwork=False, hostPID=False)),
        (baseline.host_paths, spec(volumes=[volume("emptyDir")])),
        (baseline.host_ports, spec({"name": "c", "ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 0}]})),
        (baseline.probe_hosts, spec({"name": "c", "livenessProbe": {"httpGet": {"port": 80, "host": ""}}})),
        (baseline.probe_hosts, spec({"name": "c", "readinessProbe": {"exec": {"command": ["x"]}}, "lifecycle": {}})),
        (baseline.privileged, spec(c(privileged=False), c())),
        (baseline.proc_mount, spec(c(procMount="Default"), c())),
        (baseline.proc_mount_35, spec(c(procMount="Unmasked"), hostUsers=False)),
        (baseline.selinux, whole(c(seLinuxOptions={"type": "container_kvm_t"}), seLinuxOptions={"level": "s0"})),
        (baseline.selinux_31, whole(seLinuxOptions={"type": "container_engine_t"})),
        (baseline.seccomp, whole(c(seccompProfile={"type": "Localhost"}), seccompProfile={"type": "RuntimeDefault"})),
        (baseline.sysctls, whole(sysctls=[{"name": "net.ipv4.tcp_syncookies", "value": "1"}])),
        (baseline.sysctls_27, whole(sysctls=[{"name": "net.ipv4.ip_local_reserved_ports"}])),
        (baseline.sysctls_29, whole(sysctls=[{"name": "net.ipv4.tcp_keepalive_time"}])),
        (baseline.sysctls_32, whole(sysctls=[{"name": "net.ipv4.tcp_rmem"}, {"name": "net.ipv4.tcp_fin_timeout"}])),
        (baseline.host_process, whole(c(windowsOptions={"hostProcess": False}), windowsOptions={})),
        (restricted.privilege_escalation, spec(c(allowPrivilegeEscalation=False))),
        (restricted.privilege_escalation_25, spec(os={"name": "windows"})),
        (restricted.capabilities, spec(c(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}))),
        (restricted.capabilities_25, spec(os={"name": "windows"})),
        (restricted.volumes, spec(volumes=[volume(kind) for kind in (
            "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
            "secret",
        )])),
        (restricted.non_root, whole(runAsNonRoot=True)),
        (restricted.non_root, spec(c("a", runAsNonRoot=True), c("b", runAsNonRoot=True))),
        (restricted.non_root_35, spec(hostUsers=False)),
        (restricted.root_user, whole(c(runAsUser=1), runAsUser=1000)),
        (restricted.root_user_35, whole(runAsUser=0) | {"hostUsers": False}),
        (restricted.seccomp, whole(seccompProfile={"type": "RuntimeDefault"})),
        (restricted.seccomp, spec(c(seccompProfile={"type": "Localhost"}))),
        (restricted.seccomp_25, spec(os={"name": "windows"})),
    ],
)  # fmt: skip
def test_what_passes(check: Check, of: Document) -> None:
    assert judged(check, of) == ""


@pytest.mark.parametrize(
    "check",
    [baseline.app_armor, baseline.capabilities, baseline.host_namespaces, baseline.host_paths, baseline.host_ports,
     baseline.probe_hosts, baseline.privileged, baseline.proc_mount, baseline.proc_mount_35, baseline.selinux,
     baseline.selinux_31, baseline.seccomp, baseline.seccomp_annotations, baseline.sysctls, baseline.sysctls_32,
     baseline.host_process, restricted.volumes, restricted.root_user],
)  # fmt: skip
def test_a_plain_pod_asks_for_nothing(check: Check) -> None:
    assert judged(check, PLAIN) == ""


@pytest.mark.parametrize(
    ("check", "of", "words"),
    [
        (
            baseline.app_armor,
            whole(c("a", appArmorProfile={"type": "Unconfined"}), c("b"), appArmorProfile={"type": "Unconfined"}),
            'forbidden AppArmor profile (pod and container "a" must not set AppArmor profile type to "Unconfined")',
        ),
        (
            baseline.capabilities,
            spec(c("a", capabilities={"add": ["NET_RAW", "CHOWN"]}), c("b", capabilities={"add": ["BPF"]})),
            'non-default capabilities (containers "a", "b" must not include "BPF", "NET_RAW" in '
            "securityContext.capabilities.add)",
        ),
        (
            baseline.host_namespaces,
            spec(hostNetwork=True, hostPID=True, hostIPC=True),
            "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)",
        ),
        (
            baseline.host_paths,
            spec(volumes=[volume("hostPath", "a"), volume("emptyDir", "b"), volume("hostPath", "c")]),
            'hostPath volumes (volumes "a", "c")',
        ),
        (baseline.host_paths, spec(volumes=[volume("hostPath", "a")]), 'hostPath volumes (volume "a")'),
        (
            baseline.host_ports,
            spec({"name": "a", "ports": [{"hostPort": 20}]}),
            'hostPort (container "a" uses hostPort 20)',
        ),
        (
            baseline.host_ports,
            spec(
                {"name": "a", "ports": [{"hostPort": 20}, {"hostPort": 100}]},
                {"name": "b", "ports": [{"hostPort": 20}]},
            ),
            'hostPort (containers "a", "b" use hostPorts 100, 20)',
        ),
        (
            baseline.probe_hosts,
            spec(
                {"name": "b", "startupProbe": {"tcpSocket": {"host": "h2", "port": 1}}},
                {"name": "a", "lifecycle": {"preStop": {"httpGet": {"host": "h1", "port": 1}}}},
            ),
            'probe or lifecycle host (containers "a", "b" use probe or lifecycle hosts "h1", "h2")',
        ),
        (
            baseline.privileged,
            spec(c("a", privileged=True), c("b"), initContainers=[c("i", privileged=True)]),
            'privileged (containers "i", "a" must not set securityContext.privileged=true)',
        ),
        (
            baseline.privileged,
            spec(c("a"), ephemeralContainers=[c("debugger", privileged=True)]),
            'privileged (container "debugger" must not set securityContext.privileged=true)',
        ),
        (
            baseline.proc_mount,
            spec(c("a", procMount="Unmasked"), hostUsers=False),
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            baseline.proc_mount_35,
            spec(c("a", procMount="Unmasked")),
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            baseline.selinux,
            whole(c("a", seLinuxOptions={"type": "foo", "user": "u"}), seLinuxOptions={"type": "bar", "role": "r"}),
            'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: types "bar", "foo"; '
            "user may not be set; role may not be set)",
        ),
        (
            baseline.selinux,
            whole(seLinuxOptions={"user": "u"}),
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: user may not be set)",
        ),
        (
            baseline.selinux,
            whole(seLinuxOptions={"type": "container_engine_t"}),
            'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")',
        ),
        (
            baseline.seccomp,
            whole(c("a", seccompProfile={"type": "Unconfined"}), seccompProfile={"type": "Unconfined"}),
            'seccompProfile (pod and container "a" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            baseline.sysctls,
            whole(sysctls=[{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]),
            "forbidden sysctls (kernel.msgmax, net.ipv4.tcp_rmem)",
        ),
        (baseline.sysctls_29, whole(sysctls=[{"name": "net.ipv4.tcp_wmem"}]), "forbidden sysctls (net.ipv4.tcp_wmem)"),
        (
            baseline.host_process,
            whole(c("a", windowsOptions={"hostProcess": True}), windowsOptions={"hostProcess": True}),
            'hostProcess (pod and container "a" must not set securityContext.windowsOptions.hostProcess=true)',
        ),
        (
            restricted.privilege_escalation,
            spec(c("a"), c("b", allowPrivilegeEscalation=True), c("d", allowPrivilegeEscalation=False)),
            'allowPrivilegeEscalation != false (containers "a", "b" must set '
            "securityContext.allowPrivilegeEscalation=false)",
        ),
        (
            restricted.capabilities,
            spec(c("a", capabilities={"add": ["BPF"]}), c("b", capabilities={"drop": ["ALL"], "add": ["AUDIT_WRITE"]})),
            'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]; '
            'containers "a", "b" must not include "AUDIT_WRITE", "BPF" in securityContext.capabilities.add)',
        ),
        (
            restricted.volumes,
            spec(volumes=[volume("hostPath", "a"), volume("nfs", "b"), volume("secret", "c")]),
            'restricted volume types (volumes "a", "b" use restricted volume types "hostPath", "nfs")',
        ),
        (
            restricted.volumes,
            spec(volumes=[volume("gitRepo", "a")]),
            'restricted volume types (volume "a" uses restricted volume type "gitRepo")',
        ),
        (
            restricted.volumes,
            spec(volumes=[{"name": "a"}]),
            'restricted volume types (volume "a" uses restricted volume type "unknown")',
        ),
        (
            restricted.non_root,
            spec(c("a"), c("b", runAsNonRoot=True)),
            'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)',
        ),
        (
            restricted.non_root,
            whole(c("a", runAsNonRoot=False), c("b"), runAsNonRoot=False),
            'runAsNonRoot != true (pod and container "a" must not set securityContext.runAsNonRoot=false)',
        ),
        (
            restricted.non_root,
            whole(c("a", runAsNonRoot=False), runAsNonRoot=True),
            'runAsNonRoot != true (container "a" must not set securityContext.runAsNonRoot=false)',
        ),
        (
            restricted.root_user,
            whole(c("a", runAsUser=0), c("b", runAsUser=5), runAsUser=0),
            'runAsUser=0 (pod and container "a" must not set runAsUser=0)',
        ),
        (
            restricted.seccomp,
            spec(c("a"), c("b", seccompProfile={"type": "RuntimeDefault"})),
            'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
            '"Localhost")',
        ),
        (
            restricted.seccomp,
            whole(c("a"), seccompProfile={"type": "Unconfined"}),
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
    ],
)
def test_what_is_refused(check: Check, of: Document, words: str) -> None:
    assert judged(check, of) == words


@pytest.mark.parametrize(
    ("check", "annotations", "words"),
    [
        (baseline.app_armor, {f"{ARMOR}c": "runtime/default", f"{ARMOR}d": "localhost/x", "other": "unconfined"}, ""),
        (
            baseline.app_armor,
            {f"{ARMOR}c": "unconfined"},
            f'forbidden AppArmor profile (annotation must not set AppArmor profile type to "{ARMOR}c="unconfined"")',
        ),
        (baseline.seccomp_annotations, {POD_SECCOMP: "docker/default", f"{SECCOMP}c": "localhost/x"}, ""),
        (
            baseline.seccomp_annotations,
            {POD_SECCOMP: "unconfined", f"{SECCOMP}c": "none", f"{SECCOMP}elsewhere": "none"},
            f'seccompProfile (forbidden annotations {SECCOMP}c="none", {POD_SECCOMP}="unconfined")',
        ),
    ],
)
def test_annotations_that_said_it_before_there_were_fields(
    check: Check, annotations: dict[str, str], words: str
) -> None:
    assert judged(check, PLAIN, annotations) == words
