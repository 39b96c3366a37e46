"""Pod starts: create to Running as a watch shows it, next to the same two containers started by hand."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

from tests.bench.installation import Installation
from tests.support.wait import until

NAMESPACE = "bench-pods"
IMAGE = "moorage-bench/busybox:local"


async def make_image() -> None:
    """Import a folder around the static busybox as ``IMAGE``: no registry is needed."""
    script = (
        "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; mkdir -p $d/bin $d/tmp; cp $(command -v busybox) $d/bin/busybox; "
        'for a in sh sleep echo cat httpd; do ln -s busybox $d/bin/$a; done; tar -C $d -c . | docker import - "$0" >/dev/null'
    )
    await _run("sh", "-c", script, IMAGE)


async def by_hand(count: int) -> float:
    """Seconds for starting ``count`` pairs of containers (a sandbox and one that joins it) in parallel with the docker client."""
    names = [f"moorage-bench-hand-{number}" for number in range(count)]

    async def pair(name: str) -> None:
        await _run("docker", "run", "-d", "--name", name, IMAGE, "/bin/sleep", "3600")
        await _run(
            "docker", "run", "-d", "--name", name + "-c", "--network", f"container:{name}", IMAGE, "/bin/sleep", "3600"
        )

    start = time.monotonic()
    try:
        await asyncio.gather(*[pair(name) for name in names])
        return time.monotonic() - start
    finally:
        await _run("docker", "rm", "-f", *names, *[name + "-c" for name in names])


async def one_at_a_time(target: Installation, count: int) -> float:
    """Median seconds from create to Running of one pod."""
    return statistics.median([await together(target, [f"one-{number}"]) for number in range(count)])


async def together(target: Installation, names: list[str]) -> float:
    """Seconds from creating all pods until the last of them runs; they are removed afterwards."""
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    revision = (await target.get(pods + "?limit=1"))["metadata"]["resourceVersion"]
    running = asyncio.create_task(_all_running(target, pods, revision, set(names)))
    start = time.monotonic()
    await asyncio.gather(*[target.post(pods, _pod(name)) for name in names])
    await asyncio.wait_for(running, 120)
    took = time.monotonic() - start
    async with target.session.delete(target.url + pods, params={"gracePeriodSeconds": "0"}) as response:
        response.raise_for_status()

    async def gone() -> bool:
        return not (await target.get(pods))["items"]

    await until(gone, timeout=60, every=0.2)
    return took


async def _all_running(target: Installation, pods: str, revision: str, names: set[str]) -> None:
    parameters = {"watch": "1", "resourceVersion": revision}
    async with target.session.get(target.url + pods, params=parameters, timeout=None) as response:
        async for line in response.content:
            pod = json.loads(line)["object"]
            if pod.get("status", {}).get("phase") == "Running":
                names.discard(pod["metadata"]["name"])
            if not names:
                return


def _pod(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["/bin/sleep", "3600"]}
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def _run(*line: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    if process.returncode:
        raise RuntimeError(f"{line[0]} {line[1]} failed: {output}")
