"""What a node's agent costs while its pods do nothing but answer probes: its CPU time over a minute, and its memory."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from tests.bench import memory, pods
from tests.bench.installation import Installation
from tests.bench.table import Row
from tests.support.wait import until

NAMESPACE = "bench-probes"
PODS = 100
AT_ONCE = 20
"""Pods that are asked for together; the next come when these are ready."""
SETTLE, SECONDS = 15.0, 60.0


async def probes(target: Installation) -> list[Row]:
    """100 pods with a liveness and a readiness probe over HTTP, each every 10 s."""
    await pods.make_image()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await target.post("/api/v1/namespaces", namespace)
    for start in range(0, PODS, AT_ONCE):
        names = [f"probed-{number}" for number in range(start, min(start + AT_ONCE, PODS))]
        await asyncio.gather(*(target.post(f"/api/v1/namespaces/{NAMESPACE}/pods", _pod(name)) for name in names))
        await until(lambda: _ready(target, start + AT_ONCE), timeout=300, every=1.0)  # noqa: B023 - waited for in this turn
    await asyncio.sleep(SETTLE)
    agent = memory.pids(target.data_dir, "agent")[0]
    before = _cpu_seconds(agent)
    await asyncio.sleep(SECONDS)
    share = (_cpu_seconds(agent) - before) / SECONDS
    held = memory.resident(agent)
    return [
        Row(f"agent, {PODS} pods with two 10 s HTTP probes each: CPU", f"{share:.1%} of a core", "5 %", ""),
        Row(f"agent, {PODS} pods with two 10 s HTTP probes each: memory", f"{held:.0f} MB", "150 MB", ""),
    ]


async def _ready(target: Installation, wanted: int) -> bool:
    found = (await target.get(f"/api/v1/namespaces/{NAMESPACE}/pods"))["items"]
    ready = sum(_is_ready(pod) for pod in found)
    assert ready >= min(wanted, PODS), f"{ready} of {wanted} pods are ready"
    return True


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pod(name: str) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 10}
    container = {
        "name": "main",
        "image": pods.IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", "echo fine > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"],
        "livenessProbe": probe,
        "readinessProbe": {**probe, "initialDelaySeconds": 1},
    }
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
