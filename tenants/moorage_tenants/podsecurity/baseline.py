"""The checks of the level ``baseline``: no known way to more privileges. One function for each, of (metadata, spec).

Source: "Pod Security Standards" in the Kubernetes documentation, for each version of the policy.
"""

from __future__ import annotations

from collections.abc import Callable

from moorage.resources.field_errors import quoted
from moorage_tenants.podsecurity.wording import (
    Part,
    Violation,
    containers,
    counted,
    in_user_namespace,
    listed,
    named,
    names,
    of,
    security,
    setters,
)

Check = Callable[[Part, Part], Violation | None]

_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_CONFINED = frozenset({"RuntimeDefault", "Localhost"})
_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    }
)
_SYSCTLS_27 = _SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _annotations(metadata: Part) -> Part:
    return metadata.get("annotations") or {}


def app_armor(metadata: Part, spec: Part) -> Violation | None:
    """Nobody leaves the runtime's AppArmor profile for none."""

    def loose(part: Part) -> str:
        kind = of(part, "appArmorProfile", "type")
        return str(kind) if kind is not None and kind not in _CONFINED else ""

    bad = [each for each in containers(spec) if loose(each)]
    who = setters(bool(loose(spec)), names(bad))
    values = sorted({loose(each) for each in (spec, *bad)} - {""})
    annotated = sorted(
        f"{key}={quoted(value)}"
        for key, value in _annotations(metadata).items()
        if key.startswith(_APP_ARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    if annotated:
        who = " and ".join(filter(None, [who, counted("annotation", "annotations", len(annotated))]))
        values += annotated
    if not who:
        return None
    reason = counted("forbidden AppArmor profile", "forbidden AppArmor profiles", len(values))
    return Violation(reason, f"{who} must not set AppArmor profile type to {listed(values)}")


def capabilities(_metadata: Part, spec: Part) -> Violation | None:
    """Only what container engines give anyway."""
    bad, found = [], set()
    for each in containers(spec):
        more = set(of(each, "capabilities", "add") or ()) - _CAPABILITIES
        if more:
            bad.append(each)
            found |= more
    if not bad:
        return None
    detail = f"{named(names(bad))} must not include {listed(sorted(found))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail)


def host_namespaces(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody shares the node's network, processes or memory."""
    shared = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return Violation("host namespaces", ", ".join(shared)) if shared else None


def host_paths(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody mounts the node's files."""
    bad = names(each for each in spec.get("volumes") or () if "hostPath" in each)
    return Violation("hostPath volumes", f"{counted('volume', 'volumes', len(bad))} {listed(bad)}") if bad else None


def host_ports(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody takes the node's ports."""
    taken = {
        str(each.get("name", "")): {str(port["hostPort"]) for port in each.get("ports") or () if port.get("hostPort")}
        for each in containers(spec)
    }
    bad = [name for name, ports in taken.items() if ports]
    if not bad:
        return None
    ports = sorted({port for each in taken.values() for port in each})
    verb, noun = counted("uses", "use", len(bad)), counted("hostPort", "hostPorts", len(ports))
    return Violation("hostPort", f"{named(bad)} {verb} {noun} {', '.join(ports)}")


def _hosts(container: Part) -> set[str]:
    handlers = [container.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    lifecycle: Part = container.get("lifecycle") or {}
    handlers += [lifecycle.get(name) for name in ("postStart", "preStop")]
    actions = [(handler or {}).get(name) or {} for handler in handlers for name in ("httpGet", "tcpSocket")]
    return {action["host"] for action in actions if action.get("host")}


def probe_hosts(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody lets the node knock at other doors than the pod's own."""
    asked = {str(each.get("name", "")): _hosts(each) for each in containers(spec)}
    bad = sorted(name for name, hosts in asked.items() if hosts)
    if not bad:
        return None
    hosts = sorted({host for each in asked.values() for host in each})
    verb = counted("uses", "use", len(bad))
    noun = counted("probe or lifecycle host", "probe or lifecycle hosts", len(hosts))
    return Violation("probe or lifecycle host", f"{named(bad)} {verb} {noun} {listed(hosts)}")


def privileged(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody is as mighty as the node."""
    bad = names(each for each in containers(spec) if of(each, "privileged"))
    return Violation("privileged", f"{named(bad)} must not set securityContext.privileged=true") if bad else None


def proc_mount(_metadata: Part, spec: Part) -> Violation | None:
    """``/proc`` stays masked."""
    bad = [each for each in containers(spec) if of(each, "procMount") not in (None, "Default")]
    if not bad:
        return None
    values = sorted({security(each)["procMount"] for each in bad})
    return Violation("procMount", f"{named(names(bad))} must not set securityContext.procMount to {listed(values)}")


def proc_mount_35(metadata: Part, spec: Part) -> Violation | None:
    """As ``proc_mount``, but in a user namespace it does no harm."""
    return None if in_user_namespace(spec) else proc_mount(metadata, spec)


def seccomp_annotations(metadata: Part, spec: Part) -> Violation | None:
    """Nobody leaves the runtime's seccomp profile for none, in the annotations that said so before there was a field."""
    given = _annotations(metadata)
    keys = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + name for name in names(containers(spec)))]
    bad = sorted(
        {
            f"{key}={quoted(given[key])}"
            for key in keys
            if key in given
            and given[key] not in ("runtime/default", "docker/default")
            and not given[key].startswith("localhost/")
        }
    )
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {counted('annotation', 'annotations', len(bad))} {', '.join(bad)}")


def loose_seccomp(part: Part) -> str:
    """The type of a seccomp profile that confines nothing, "" where there is none or another."""
    kind = of(part, "seccompProfile", "type")
    return str(kind) if of(part, "seccompProfile") is not None and kind not in _CONFINED else ""


def seccomp(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody leaves the runtime's seccomp profile for none."""
    bad = [each for each in containers(spec) if loose_seccomp(each)]
    who = setters(bool(loose_seccomp(spec)), names(bad))
    if not who:
        return None
    values = sorted({loose_seccomp(each) for each in (spec, *bad)} - {""})
    return Violation("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {listed(values)}")


def _selinux(types: frozenset[str]) -> Check:
    def check(_metadata: Part, spec: Part) -> Violation | None:
        def asked(part: Part) -> Part:
            return of(part, "seLinuxOptions") or {}

        def bad(part: Part) -> bool:
            options = asked(part)
            return bool(options.get("type", "") not in types or options.get("user") or options.get("role"))

        found = [each for each in containers(spec) if bad(each)]
        who = setters(bad(spec), names(found))
        if not who:
            return None
        options = [asked(each) for each in (spec, *found)]
        foreign = sorted({each.get("type", "") for each in options} - types)
        data = [f"{counted('type', 'types', len(foreign))} {listed(foreign)}"] if foreign else []
        data += [f"{name} may not be set" for name in ("user", "role") if any(each.get(name) for each in options)]
        return Violation("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")

    return check


def _sysctls(allowed: frozenset[str]) -> Check:
    def check(_metadata: Part, spec: Part) -> Violation | None:
        bad = [name for name in names(of(spec, "sysctls") or ()) if name not in allowed]
        return Violation("forbidden sysctls", ", ".join(bad)) if bad else None

    return check


selinux, selinux_31 = _selinux(_SELINUX_TYPES), _selinux(_SELINUX_TYPES | {"container_engine_t"})
sysctls, sysctls_27, sysctls_29, sysctls_32 = map(_sysctls, (_SYSCTLS, _SYSCTLS_27, _SYSCTLS_29, _SYSCTLS_32))


def host_process(_metadata: Part, spec: Part) -> Violation | None:
    """Nobody runs as a process of a Windows node."""
    bad = names(each for each in containers(spec) if of(each, "windowsOptions", "hostProcess"))
    who = setters(bool(of(spec, "windowsOptions", "hostProcess")), bad)
    if not who:
        return None
    return Violation("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true")
