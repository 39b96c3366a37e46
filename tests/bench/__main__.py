"""``make bench``: start an installation, put each load on it, print one table.

``python -m tests.bench [PART ...]`` measures only the named parts: api, lists, pods, probes, push, watch, schedule, start,
fairness, services.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable

from tests.bench import fairness, memory, pods, probes, push, schedule, services, watch, wrk
from tests.bench.installation import Installation, installation
from tests.bench.table import Row, render

LIST_PODS = 21_000
BIG_POD_ENVIRONMENT = 19
"""Variables per pod, so that 21,000 pods are about 75 MB as JSON."""


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


async def api(target: Installation) -> list[Row]:
    """Creates and gets a second, over TLS."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench-api"}}
    await target.post("/api/v1/namespaces", namespace)
    url, run = target.url, str(int(time.time()))
    one = await wrk.run("create.lua", url, target.token, connections=1, NAMESPACE="bench-api", RUN=run + "-one")
    many = await wrk.run("create.lua", url, target.token, NAMESPACE="bench-api", RUN=run)
    path = f"/api/v1/namespaces/bench-api/pods/load-{run}-100"
    gets = await wrk.run("read.lua", url + path, target.token)
    await _clear(target, "bench-api")
    return [
        Row("pod creates, 1 connection", str(one), "", "724/s (p50 1.3 ms, p99 4.4 ms)"),
        Row("pod creates, 32 connections", str(many), "1,000/s", "1,781/s (p50 16 ms, p99 51 ms)"),
        Row("pod gets, 32 connections", str(gets), "5,000/s", "4,284/s (p99 25 ms)"),
    ]


async def lists(target: Installation) -> list[Row]:
    """Full lists of 21,000 pods, and what it costs to hold them."""
    name = "bench-lists"
    await target.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for start in range(0, LIST_PODS, 500):
        operations = [{"verb": "create", "object": _big_pod(name, number)} for number in range(start, start + 500)]
        batch = {"apiVersion": "moorage.io/v1", "kind": "Batch", "spec": {"operations": operations}}
        await target.post("/apis/moorage.io/v1/batches", batch)
    path = f"{target.url}/api/v1/namespaces/{name}/pods"
    async with target.session.get(path) as response:
        size = len(await response.read()) / 1e6
    result = await wrk.run("read.lua", path, target.token, connections=4, seconds=15)
    held = memory.by_part(target.data_dir)
    store = held.get("server", 0) + held.get("postgres", 0)
    await _clear(target, name)
    return [
        Row(
            f"full list of 21,000 pods ({size:.0f} MB), 4 connections", f"{result.rate:.1f}/s", "6/s", "3.16/s (75 MB)"
        ),
        Row("memory with 21,000 pods, API + store", f"{store:.0f} MB", "700 MB", "1,678 MB"),
    ]


async def pod_starts(target: Installation) -> list[Row]:
    """Pods on Docker, next to the same two containers by hand."""
    await pods.make_image()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": pods.NAMESPACE}}
    await target.post("/api/v1/namespaces", namespace)
    hand, hand_many = await pods.by_hand(1), await pods.by_hand(30)
    one = await pods.one_at_a_time(target, 10)
    many = await pods.together(target, [f"many-{number}" for number in range(30)])
    return [
        Row("pod create to Running, one (median of 10)", f"{one:.2f} s", f"{hand:.2f} s by hand", "0.17 s"),
        Row("pod create to Running, last of 30 at once", f"{many:.1f} s", f"{hand_many:.1f} s by hand", "3.8 s"),
    ]


async def pushes(target: Installation) -> list[Row]:
    """git push to Running."""
    await pods.make_image()
    returned, running = await push.seconds(target)
    return [
        Row("git push until Git returns (median of 5)", f"{returned:.2f} s", "", ""),
        Row(
            "git push until the pod runs (median of 5)",
            f"{running:.2f} s",
            "3 s",
            "Argo CD polls each 3 min, Flux 1 min",
        ),
    ]


async def watches(target: Installation) -> list[Row]:
    """Watch delays."""
    found = await watch.delays(target)
    p50, p99 = found[len(found) // 2], found[int(len(found) * 0.99)]
    return [Row("watch, 100 watchers x 200 events/s", f"p50 {p50:.0f} ms, p99 {p99:.0f} ms", "", "p50 7 ms, p99 59 ms")]


async def schedules(target: Installation) -> list[Row]:
    """Scheduling rate."""
    return [Row("schedule 5,000 pods on 1,000 nodes", f"{await schedule.rate(target):,.0f}/s", "", "389/s")]


async def starts(target: Installation) -> list[Row]:
    """Second start, and memory at rest after it."""
    seconds = await target.restart()
    await asyncio.sleep(5)
    held = memory.by_part(target.data_dir)
    parts = ", ".join(f"{part} {size:.0f}" for part, size in sorted(held.items()))
    return [
        Row("ready after moorage up (second start)", f"{seconds:.1f} s", "8 s", ""),
        Row("memory at rest, all processes", f"{sum(held.values()):.0f} MB ({parts})", "", "678 MB"),
    ]


async def service_rules(_target: Installation) -> list[Row]:
    """Rules of Services in the kernel; they need no installation."""
    return await services.measure()


async def _clear(target: Installation, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    async with target.session.delete(target.url + path, params={"gracePeriodSeconds": "0"}) as response:
        response.raise_for_status()
        await response.read()


def _big_pod(namespace: str, number: int) -> dict[str, object]:
    environment = [{"name": f"VARIABLE_{index}", "value": f"value-{index:04d}"} for index in range(BIG_POD_ENVIRONMENT)]
    container = {"name": "main", "image": "load:none", "command": ["sleep", "3600"], "env": environment}
    metadata = {"name": f"listed-{number}", "namespace": namespace, "labels": {"app": f"app-{number % 100}"}}
    # No node has this label: the pods stay Pending, and only their storage and their lists cost anything.
    spec = {"containers": [container], "schedulerName": "nobody"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


PARTS: dict[str, Callable[[Installation], Awaitable[list[Row]]]] = {
    "start": starts, "pods": pod_starts, "push": pushes, "watch": watches, "api": api, "lists": lists,
    "schedule": schedules, "fairness": fairness.fairness, "services": service_rules, "probes": probes.probes,
}  # fmt: skip

NEED_A_NODE = {"start", "pods", "push", "probes"}


async def measure(names: list[str]) -> None:
    """Run the parts and print the table."""
    rows: list[Row] = []
    for name in names:
        say(f"measuring: {name}")
        async with installation(node=name in NEED_A_NODE) as target:
            rows += await PARTS[name](target)
    print(f"\nmeasured on {os.cpu_count()} cores, load and platform on the same machine\n")
    print(render(rows))


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"unknown parts: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    asyncio.run(measure(chosen))
