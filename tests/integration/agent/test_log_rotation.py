"""Logs that outgrow their file: followed over its rotation, bounded on disk, and lines without an end."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from moorage_agent.node.disk import Disk
from tests.integration.agent.rig import NAMESPACE, Document, Rig

pytestmark = pytest.mark.docker
LINES = 100_000
PAD = "x" * 400
WRITE = f'read go < /dev/null; i=0; while [ $i -lt {LINES} ]; do echo "$i {PAD}"; i=$((i+1)); done; echo end'


async def follow(rig: Rig, pod: Document, end: str) -> str:
    """What a follower from the first line on is shown, until ``end``."""
    assert rig.agent is not None
    assert rig.agent.logs is not None
    request = {
        "kind": "logs",
        "namespace": NAMESPACE,
        "pod": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
        "container": "c",
        "follow": True,
    }
    found = bytearray()
    async with asyncio.timeout(90), contextlib.aclosing(rig.agent.logs.read(request)) as chunks:
        async for chunk in chunks:
            found += chunk
            if found.endswith(end.encode()):
                break
    return found.decode()


async def test_a_follower_sees_every_line_over_rotations_and_the_disk_is_bounded(rig: Rig) -> None:
    await rig.run("talker", script=f"echo begin; sleep 1; {WRITE}; sleep 600")
    pod = await rig.running("talker")
    text = await follow(rig, pod, "end\n")
    lines = text.splitlines()
    numbers = [int(line.split()[0]) for line in lines[1:-1]]
    assert numbers == list(range(LINES)), f"{len(numbers)} of {LINES} lines"
    assert rig.agent is not None
    assert rig.agent.pods is not None
    worker = rig.agent.pods.find(NAMESPACE, "talker")
    assert worker is not None
    taken = await Disk(worker.node.engine, worker.node.volumes, worker.node.files).of(worker)
    assert len(text) > 30 * 2**20
    assert 10 * 2**20 < taken.containers["c"].log < 52 * 2**20
    tail = await rig.logs(pod, tailLines=2)
    assert tail.splitlines() == [f"{LINES - 1} {PAD}", "end"]


async def test_a_line_longer_than_any_file_has_one_time(rig: Rig) -> None:
    """12 MB without a line's end: it passes in pieces, over a rotation, and only its beginning is stamped."""
    size = 12 * 2**20
    await rig.run("shouter", script=f"head -c {size} /dev/zero | tr '\\0' x; echo; echo after; sleep 600")
    pod = await rig.running("shouter")
    text = await follow(rig, pod, "after\n")
    assert text == "x" * size + "\nafter\n"
    stamped = (await rig.logs(pod, timestamps=True)).splitlines()
    assert [len(line.partition(" ")[2]) for line in stamped] == [size, len("after")]
    assert len(await rig.logs(pod, limitBytes=1000)) == 1000
