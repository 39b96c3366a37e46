"""What runs on the engine for one node, as the engine says itself."""

from __future__ import annotations

import asyncio
import json


async def running(labels: dict[str, str], pod_label: str, container_label: str) -> list[tuple[str, str]]:
    """(pod uid, container name) of every running container that carries ``labels``; a name twice is two containers."""
    filters = [part for key, value in labels.items() for part in ("--filter", f"label={key}={value}")]
    process = await asyncio.create_subprocess_exec(
        "docker", "ps", "--no-trunc", "--format", "{{json .}}", *filters, stdout=asyncio.subprocess.PIPE
    )
    output = (await process.communicate())[0].decode()
    found = []
    for line in output.splitlines():
        own = dict(pair.split("=", 1) for pair in json.loads(line)["Labels"].split(",") if "=" in pair)
        found.append((own.get(pod_label, ""), own.get(container_label, "")))
    return sorted(found)
