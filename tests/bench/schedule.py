"""Scheduling: many pods on many nodes that no agent stands behind, timed from the first binding to the last."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from tests.bench.installation import Installation

NAMESPACE = "bench-schedule"


async def rate(target: Installation, *, nodes: int = 1000, pods: int = 5000) -> float:
    """Pods bound a second. Nodes stay Ready for the node controller's grace period, which is longer than this takes."""
    await target.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    await _many(target, "/api/v1/nodes", nodes, _node)
    revision = (await target.get(path + "?limit=1"))["metadata"]["resourceVersion"]
    watching = asyncio.create_task(_bindings(target, path, revision, pods))
    await _many(target, path, pods, _pod)
    first, last = await asyncio.wait_for(watching, 300)
    return pods / (last - first)


async def _bindings(target: Installation, path: str, revision: str, count: int) -> tuple[float, float]:
    bound: set[str] = set()
    first = 0.0
    parameters = {"watch": "1", "resourceVersion": revision}
    async with target.session.get(target.url + path, params=parameters, timeout=None) as response:
        async for line in response.content:
            pod = json.loads(line)["object"]
            if pod["spec"].get("nodeName"):
                first = first or time.monotonic()
                bound.add(pod["metadata"]["name"])
                if len(bound) == count:
                    break
    return first, time.monotonic()


async def _many(target: Installation, path: str, count: int, make: Callable[[int], dict[str, Any]]) -> None:
    """Through batches, so that creating is not what is measured."""
    for start in range(0, count, 500):
        operations = [{"verb": "create", "object": make(number)} for number in range(start, min(count, start + 500))]
        batch = {"apiVersion": "moorage.io/v1", "kind": "Batch", "spec": {"operations": operations}}
        answer = await target.post("/apis/moorage.io/v1/batches", batch)
        refused = [result["error"]["message"] for result in answer["status"]["results"] if result.get("error")]
        if refused:
            raise RuntimeError(f"{len(refused)} creates at {path} were refused: {refused[0]}")


def _node(number: int) -> dict[str, Any]:
    capacity = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": f"bench-{number}", "topology.kubernetes.io/zone": f"zone-{number % 3}"}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now, "reason": "Bench"}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
    metadata = {"name": f"bench-{number}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}


def _pod(number: int) -> dict[str, Any]:
    container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}}}
    # The real node must not try to run these: only the nodes of the load carry a zone.
    spec = {"containers": [container], "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator":
        "Exists"}]}]}}}}  # fmt: skip
    metadata = {"name": f"scheduled-{number}", "namespace": NAMESPACE, "labels": {"app": f"app-{number % 50}"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
