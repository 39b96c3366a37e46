"""Between the contract's values and the documents of Docker's API (v1.41 and later)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage_agent.engine.contract import Container, ContainerSpec, Image, Limits, Mount, State, Usage
from moorage_agent.timestamps import seconds

CPU_PERIOD = 100_000
LOG_FILES = {"max-size": "10m", "max-file": "5"}
"""Kubernetes' defaults ``containerLogMaxSize`` and ``containerLogMaxFiles``."""


def state(word: str) -> State:
    """Docker's status word."""
    if word in ("running", "paused"):
        return State.RUNNING
    return State.CREATED if word == "created" else State.EXITED


def container(document: Mapping[str, Any]) -> Container:
    """An answer of ``GET /containers/ID/json``."""
    status = document["State"]
    networks = (document.get("NetworkSettings") or {}).get("Networks") or {}
    return Container(
        id=document["Id"],
        name=document["Name"].removeprefix("/"),
        state=state(status["Status"]),
        labels=document["Config"].get("Labels") or {},
        created=seconds(document["Created"]),
        started=seconds(status.get("StartedAt", "")),
        finished=seconds(status.get("FinishedAt", "")),
        exit_code=int(status.get("ExitCode") or 0),
        oom_killed=bool(status.get("OOMKilled")),
        error=str(status.get("Error") or ""),
        image_id=document.get("Image") or "",
        pid=int(status.get("Pid") or 0),
        limits=_read_limits(document.get("HostConfig") or {}),
        ip=next((str(network["IPAddress"]) for network in networks.values() if network.get("IPAddress")), ""),
    )


def image(document: Mapping[str, Any]) -> Image:
    """An answer of ``GET /images/NAME/json``."""
    digests = document.get("RepoDigests") or []
    return Image(
        id=document["Id"],
        digest=str(digests[0]) if digests else "",
        size=int(document.get("Size") or 0),
        user=str((document.get("Config") or {}).get("User") or ""),
    )


def usage(document: Mapping[str, Any]) -> Usage:
    """An answer of ``GET /containers/ID/stats``. Memory is usage less inactive file cache, as ``docker stats`` and the kubelet
    count it; CPU time comes in nanoseconds.
    """
    memory = document.get("memory_stats") or {}
    details = memory.get("stats") or {}
    whole = int(memory.get("usage") or 0)
    of_cpu = document.get("cpu_stats") or {}
    spent, throttling = of_cpu.get("cpu_usage") or {}, of_cpu.get("throttling_data") or {}
    moved = {"read": 0, "write": 0}
    for entry in (document.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ():
        if (direction := str(entry.get("op", "")).lower()) in moved:
            moved[direction] += int(entry.get("value") or 0)
    return Usage(
        memory=max(0, whole - _either(details, "total_inactive_file", "inactive_file")),
        cpu=int(spent.get("total_usage") or 0) / 1e9,
        processes=int((document.get("pids_stats") or {}).get("current") or 0),
        whole=whole,
        rss=_either(details, "total_rss", "anon"),
        cache=_either(details, "total_cache", "file"),
        faults=_either(details, "total_pgfault", "pgfault"),
        major_faults=_either(details, "total_pgmajfault", "pgmajfault"),
        user=int(spent.get("usage_in_usermode") or 0) / 1e9,
        system=int(spent.get("usage_in_kernelmode") or 0) / 1e9,
        periods=int(throttling.get("periods") or 0),
        throttled_periods=int(throttling.get("throttled_periods") or 0),
        throttled=int(throttling.get("throttled_time") or 0) / 1e9,
        read=moved["read"],
        written=moved["write"],
    )


def _either(details: Mapping[str, Any], first: str, second: str) -> int:
    """A count by its name in control groups of version 1, else of version 2."""
    return int(details.get(first) or details.get(second) or 0)


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """The body of ``POST /containers/create``. It may hold secret values (env): it is never logged."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels),
        "Env": list(spec.env),
        "User": spec.security.user,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "Tty": spec.tty,
        "HostConfig": _host_config(spec),
    }
    if spec.entrypoint is not None:
        body["Entrypoint"] = list(spec.entrypoint)
    if spec.arguments is not None:
        body["Cmd"] = list(spec.arguments)
    named = {
        "WorkingDir": spec.working_dir,
        "Hostname": spec.hostname,
        "Domainname": spec.domain,
        "StopSignal": spec.stop_signal,
    }
    body.update({field: value for field, value in named.items() if value})
    if spec.ports:
        body["ExposedPorts"] = {f"{port.container_port}/{port.protocol}": {} for port in spec.ports}
    return body


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    security = spec.security
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in spec.ports:
        binding = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        bindings.setdefault(f"{port.container_port}/{port.protocol}", []).append(binding)
    return {
        "NetworkMode": spec.network or "default",
        "IpcMode": spec.ipc,
        "PidMode": spec.pid,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": LOG_FILES},
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "PortBindings": bindings,
        "Privileged": security.privileged,
        "CapAdd": list(security.add),
        "CapDrop": list(security.drop),
        "GroupAdd": list(security.groups),
        "SecurityOpt": list(security.options),
        "ReadonlyRootfs": security.read_only_root,
        "Sysctls": dict(spec.sysctls),
        "OomScoreAdj": spec.oom_score_adj,
        **({"Runtime": spec.runtime} if spec.runtime else {}),
        **_limits(spec.limits),
    }


def _read_limits(host: Mapping[str, Any]) -> Limits:
    return Limits(
        cpu_shares=int(host.get("CpuShares") or 0),
        cpu_quota=int(host.get("CpuQuota") or 0),
        memory=int(host.get("Memory") or 0),
        pids=int(host.get("PidsLimit") or 0),
    )


def update_body(limits: Limits) -> dict[str, int]:
    """The body of ``POST /containers/ID/update``."""
    return {name: value for name, value in _limits(limits).items() if name != "PidsLimit"}


def _limits(limits: Limits) -> dict[str, int]:
    result: dict[str, int] = {}
    if limits.cpu_shares:
        result["CpuShares"] = limits.cpu_shares
    if limits.cpu_quota:
        result["CpuPeriod"], result["CpuQuota"] = CPU_PERIOD, limits.cpu_quota
    if limits.memory:
        result["Memory"] = limits.memory
        result["MemorySwap"] = limits.memory  # no swap beyond the limit, as in Kubernetes
    if limits.pids:
        result["PidsLimit"] = limits.pids
    return result


def _mount(mount: Mount) -> dict[str, Any]:
    """A ``bind`` of the Mounts form, which unlike ``-v`` refuses a missing source instead of making a folder of it."""
    document: dict[str, Any] = {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    }
    if mount.propagation:
        document["BindOptions"] = {"Propagation": mount.propagation}
    return document
