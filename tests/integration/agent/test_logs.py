"""Logs: from real containers through both ends of a tunnel."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moorage.client.tunnel import Mux, Stream, TunnelError
from tests.integration.agent.rig import NAMESPACE, Document, Rig
from tests.support.docker import docker
from tests.support.wait import until

pytestmark = pytest.mark.docker


class Tunnel:
    """A server's and a node's multiplexer, each sending into the other."""

    def __init__(self, rig: Rig) -> None:
        assert rig.agent is not None
        assert rig.agent.streams is not None
        self.server = Mux(self._to_node)
        self.node = Mux(self.server.feed, rig.agent.streams.serve)

    async def _to_node(self, message: bytes) -> None:
        await self.node.feed(message)

    async def open(self, pod: Document, container: str = "c", **options: Any) -> Stream:
        """A stream as the server's log endpoint asks for it."""
        metadata = pod["metadata"]
        asked = {"namespace": NAMESPACE, "pod": metadata["name"], "uid": metadata["uid"], "container": container}
        return await self.server.open({"kind": "logs", **asked, **options})

    async def read(self, pod: Document, container: str = "c", **options: Any) -> str:
        """The whole of a stream."""
        return b"".join([chunk async for chunk in await self.open(pod, container, **options)]).decode()


async def test_options_choose_a_part_of_the_log(rig: Rig) -> None:
    await rig.run("talker", script="for i in 1 2 3 4 5; do echo line $i; done; sleep 1000")
    pod = await rig.running("talker")
    tunnel = Tunnel(rig)
    whole = "".join(f"line {number}\n" for number in range(1, 6))

    async def complete() -> bool:
        return await tunnel.read(pod) == whole

    await until(complete)
    assert await tunnel.read(pod, tailLines=2) == "line 4\nline 5\n"
    assert await tunnel.read(pod, tailLines=0) == ""
    assert await tunnel.read(pod, limitBytes=8) == "line 1\nl"
    assert await tunnel.read(pod, sinceSeconds=3600) == whole
    assert await tunnel.read(pod, sinceTime="2100-01-01T00:00:00Z") == ""
    stamped = await tunnel.read(pod, timestamps=True, tailLines=1)
    moment, _, text = stamped.partition(" ")
    assert moment.endswith("Z")
    assert "T" in moment
    assert text == "line 5\n"


async def test_a_followed_log_ends_with_its_container(rig: Rig) -> None:
    await rig.run(
        "talker", {"restartPolicy": "Never", "containers": [rig.container(script="echo a; sleep 1; echo b; exit 0")]}
    )
    pod = await rig.until("talker", lambda status: "running" in status["containerStatuses"][0]["state"])
    assert await asyncio.wait_for(Tunnel(rig).read(pod, follow=True), 20) == "a\nb\n"


async def test_the_reader_may_go_at_any_time(rig: Rig) -> None:
    await rig.run("chatter", script="while :; do echo talk; sleep 0.05; done")
    pod = await rig.running("chatter")
    tunnel = Tunnel(rig)
    stream = await tunnel.open(pod, follow=True)
    async for chunk in stream:
        assert chunk.startswith(b"talk")
        break
    await stream.close()
    assert await tunnel.read(pod, limitBytes=4) == "talk"


async def test_large_logs_pass_through_whole(rig: Rig) -> None:
    line = "0123456789" * 6
    script = f"i=0; while [ $i -lt 3000 ]; do echo $i-{line}; i=$((i+1)); done; echo end; sleep 1000"
    await rig.run("large", script=script)
    pod = await rig.running("large")
    tunnel = Tunnel(rig)

    async def complete() -> str:
        text = await tunnel.read(pod)
        assert text.endswith("\nend\n")
        return text

    text = await until(complete)
    assert len(text.splitlines()) == 3001


async def test_the_log_of_the_start_before(rig: Rig) -> None:
    await rig.run("again", script="echo start; sleep 1000")
    pod = await rig.running("again")
    tunnel = Tunnel(rig)
    with pytest.raises(TunnelError, match='previous terminated container "c" in pod "again" not found') as refused:
        await tunnel.read(pod, previous=True)
    assert refused.value.status["code"] == 400
    docker("exec", rig.containers(pod, "c")[0], "sh", "-c", "echo only-first > /proc/1/fd/1")
    docker("kill", rig.containers(pod, "c")[0])
    pod = await rig.until(
        "again", lambda s: s["containerStatuses"][0]["restartCount"] == 1 and s["containerStatuses"][0]["ready"]
    )
    assert await tunnel.read(pod, previous=True) == "start\nonly-first\n"


async def test_what_has_no_log_says_why(rig: Rig) -> None:
    await rig.run("waits", image="127.0.0.1:9/none:1", imagePullPolicy="Never")
    pod = await rig.until(
        "waits", lambda s: s["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImageNeverPull"
    )
    tunnel = Tunnel(rig)
    with pytest.raises(TunnelError, match='container "c" in pod "waits" is waiting to start: ErrImageNeverPull'):
        await tunnel.read(pod)
    with pytest.raises(TunnelError, match="container x is not valid for pod waits"):
        await tunnel.read(pod, "x")
    with pytest.raises(TunnelError, match="is not known to this node"):
        await tunnel.read({"metadata": {"name": "nobody", "uid": "none"}})
    stream = await tunnel.server.open({"kind": "songs"})
    with pytest.raises(TunnelError, match="serves no streams of kind 'songs'"):
        assert [chunk async for chunk in stream] == []
