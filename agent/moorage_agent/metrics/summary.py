"""``/stats/summary``: the node and its pods in one document. Source: ``k8s.io/kubelet/pkg/apis/stats/v1alpha1``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moorage_agent.engine.contract import Usage
from moorage_agent.metrics.reading import Interface, Read, Reading, interfaces
from moorage_agent.node.disk import Own, Taken
from moorage_agent.pods.conditions import timestamp

Document = dict[str, Any]


def summary(
    before: Reading,
    now: Reading,
    node: str,
    data: Path,
    memory: int,
    taken: Mapping[str, Taken] | None,
) -> Document:
    """The document. Rates are made of two readings; ``memory`` is the machine's bytes; ``taken`` is what pods take of the disk,
    by uid, None where only CPU and memory are asked for.
    """
    seconds = max(now.time - before.time, 0.001)
    old = {attempt.container.id: used for one in before.pods for attempt, used in one.containers}
    whole: Document = {
        "nodeName": node,
        "startTime": timestamp(_booted()),
        "cpu": _cpu(now.time, now.cpu, before.cpu, seconds),
        "memory": {
            "time": timestamp(now.time),
            "availableBytes": max(0, memory - now.memory),
            "usageBytes": now.memory,
            "workingSetBytes": now.memory,
        },
    }
    if taken is not None:
        whole["network"] = _network(now.time, interfaces(os.getpid()))
        whole["fs"] = _disk(now.time, data)
        whole["runtime"] = {"imageFs": _disk(now.time, data)}
        whole["rlimit"] = {"time": timestamp(now.time), **_processes()}
    pods = [_pod(one, now.time, old, seconds, taken) for one in now.pods if one.containers]
    return {"node": whole, "pods": pods}


def _pod(
    one: Read,
    at: float,
    old: Mapping[str, Usage],
    seconds: float,
    taken: Mapping[str, Taken] | None,
) -> Document:
    metadata, status = one.pod.pod["metadata"], one.pod.pod.get("status") or {}
    containers = [
        {
            "name": attempt.name,
            "startTime": timestamp(attempt.container.started),
            "cpu": _cpu(at, used.cpu, old.get(attempt.container.id, Usage()).cpu, seconds),
            "memory": _memory(at, used, attempt.container.limits.memory),
        }
        for attempt, used in sorted(one.containers, key=lambda each: each[0].name)
    ]
    every = [used for _, used in one.containers]
    earlier = [old.get(attempt.container.id, Usage()) for attempt, _ in one.containers]
    document: Document = {
        "podRef": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": one.pod.api_uid},
        "startTime": status.get("startTime") or timestamp(at),
        "containers": containers,
        "cpu": _cpu(at, sum(used.cpu for used in every), sum(used.cpu for used in earlier), seconds),
        "memory": _memory(at, _sum(every), 0),
        "process_stats": {"process_count": sum(used.processes for used in every)},
    }
    if taken is not None:
        if one.networks:
            document["network"] = _network(at, one.networks)
        _add_disk(document, at, taken.get(str(metadata["uid"]), Taken()))
    return document


def _add_disk(document: Document, at: float, taken: Taken) -> None:
    for container in document["containers"]:
        own = taken.containers.get(container["name"], Own())
        container["rootfs"] = {"time": timestamp(at), "usedBytes": int(own.layer)}
        container["logs"] = {"time": timestamp(at), "usedBytes": int(own.log)}
    found = sorted(taken.volumes.items())
    document["volume"] = [{"time": timestamp(at), "name": name, "usedBytes": int(size)} for name, size in found]
    document["ephemeral-storage"] = {"time": timestamp(at), "usedBytes": int(taken.whole)}


def _sum(every: Sequence[Usage]) -> Usage:
    return Usage(
        memory=sum(used.memory for used in every),
        whole=sum(used.whole for used in every),
        rss=sum(used.rss for used in every),
        faults=sum(used.faults for used in every),
        major_faults=sum(used.major_faults for used in every),
    )


def _cpu(at: float, spent: float, before: float, seconds: float) -> Document:
    rate = max(0.0, spent - before) / seconds
    return {
        "time": timestamp(at),
        "usageNanoCores": round(rate * 1e9),
        "usageCoreNanoSeconds": round(spent * 1e9),
    }


def _memory(at: float, used: Usage, limit: int) -> Document:
    document: Document = {
        "time": timestamp(at),
        "usageBytes": used.whole or used.memory,
        "workingSetBytes": used.memory,
        "rssBytes": used.rss,
        "pageFaults": used.faults,
        "majorPageFaults": used.major_faults,
    }
    if limit:
        document["availableBytes"] = max(0, limit - used.memory)
    return document


def _network(at: float, networks: Sequence[Interface]) -> Document:
    found = [
        {
            "name": one.name,
            "rxBytes": one.received,
            "rxErrors": one.received_errors,
            "txBytes": one.sent,
            "txErrors": one.sent_errors,
        }
        for one in networks
    ]
    first = next((one for one in found if one["name"] == "eth0"), found[0] if found else {})
    return {"time": timestamp(at), **first, "interfaces": found}


def _disk(at: float, folder: Path) -> Document:
    stat = os.statvfs(folder)
    return {
        "time": timestamp(at),
        "availableBytes": stat.f_bavail * stat.f_frsize,
        "capacityBytes": stat.f_blocks * stat.f_frsize,
        "usedBytes": (stat.f_blocks - stat.f_bfree) * stat.f_frsize,
        "inodesFree": stat.f_ffree,
        "inodes": stat.f_files,
        "inodesUsed": stat.f_files - stat.f_ffree,
    }


def _processes() -> Document:
    running = Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2]
    most = Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii")
    return {"maxpid": int(most), "curproc": int(running)}


def _booted() -> float:
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    return float(next((line.split()[1] for line in lines if line.startswith("btime")), "0"))
