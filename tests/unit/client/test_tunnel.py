"""The multiplexer: streams share one connection, and none can hold up or flood another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from moorage.client.tunnel import WINDOW, Frame, Mux, Stream, TunnelError
from tests.support.wait import until


@asynccontextmanager
async def connected(handler: Callable[[Stream], Awaitable[None]]) -> AsyncIterator[tuple[Mux, Mux]]:
    """A server's and a node's multiplexer, joined by two queues."""
    to_node: asyncio.Queue[bytes] = asyncio.Queue()
    to_server: asyncio.Queue[bytes] = asyncio.Queue()
    server, node = Mux(to_node.put), Mux(to_server.put, handler)

    async def pump(queue: asyncio.Queue[bytes], mux: Mux) -> None:
        while True:
            await mux.feed(await queue.get())

    pumps = [asyncio.create_task(pump(to_node, node)), asyncio.create_task(pump(to_server, server))]
    try:
        yield server, node
    finally:
        await server.abort("the test is over")
        await node.abort("the test is over")
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def test_data_arrives_whole_and_in_order() -> None:
    async def serve(stream: Stream) -> None:
        for line in range(stream.request["lines"]):
            await stream.write(b"line %d\n" % line)

    async with connected(serve) as (server, _):
        stream = await server.open({"lines": 1000})
        text = b"".join([chunk async for chunk in stream])
        assert text == b"".join(b"line %d\n" % line for line in range(1000))


async def test_a_writer_waits_for_a_slow_reader_and_others_go_on() -> None:
    written = {"slow": 0}

    async def serve(stream: Stream) -> None:
        for _ in range(8):
            await stream.write(b"x" * (WINDOW // 4))
            if stream.request["name"] == "slow":
                written["slow"] += WINDOW // 4

    async with connected(serve) as (server, _):
        slow = await server.open({"name": "slow"})
        quick = await server.open({"name": "quick"})
        assert sum([len(chunk) async for chunk in quick]) == 2 * WINDOW
        await until(lambda: written["slow"] == WINDOW)
        assert sum([len(chunk) async for chunk in slow]) == 2 * WINDOW
        assert written["slow"] == 2 * WINDOW


async def test_the_readers_close_cancels_the_handler() -> None:
    stopped = asyncio.Event()

    async def serve(stream: Stream) -> None:
        await stream.write(b"first")
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with connected(serve) as (server, _):
        stream = await server.open({})
        assert await anext(aiter(stream)) == b"first"
        await stream.close()
        await asyncio.wait_for(stopped.wait(), 5)


async def test_a_refusal_reaches_the_reader_as_its_status() -> None:
    async def serve(stream: Stream) -> None:
        raise TunnelError({"code": 404, "message": 'container "x" not found'})

    async with connected(serve) as (server, _):
        stream = await server.open({})
        with pytest.raises(TunnelError, match='container "x" not found') as caught:
            [_ async for _ in stream]
        assert caught.value.status["code"] == 404


async def test_a_handlers_fault_ends_its_stream_only_and_is_reported() -> None:
    async def serve(stream: Stream) -> None:
        if stream.request["fail"]:
            raise RuntimeError("a secret detail")
        await stream.write(b"fine")

    reports: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context["message"]))
    async with connected(serve) as (server, _):
        failed, fine = await server.open({"fail": True}), await server.open({"fail": False})
        with pytest.raises(TunnelError, match="RuntimeError while serving") as caught:
            [_ async for _ in failed]
        assert "secret" not in str(caught.value)
        assert [chunk async for chunk in fine] == [b"fine"]
    assert reports == ["a tunnel stream failed"]


async def test_a_broken_connection_ends_readers_and_writers() -> None:
    ended = asyncio.Event()

    async def serve(stream: Stream) -> None:
        try:
            while True:
                await stream.write(b"x" * 1024)
        finally:
            ended.set()

    async with connected(serve) as (server, node):
        stream = await server.open({})
        await anext(aiter(stream))
        await server.abort("the cable was cut")
        await node.abort("the cable was cut")
        with pytest.raises(TunnelError, match="the cable was cut"):
            [_ async for _ in stream]
        await asyncio.wait_for(ended.wait(), 5)
        with pytest.raises(TunnelError, match="the cable was cut"):
            await server.open({})


async def test_a_node_may_not_open_streams_at_the_server() -> None:
    server = Mux(_nowhere)
    with pytest.raises(ValueError, match="may not be opened"):
        await server.feed(bytes([Frame.OPEN]) + bytes(4) + b"{}")


async def test_a_node_that_sends_more_than_it_may_is_refused() -> None:
    server = Mux(_nowhere)
    await server.open({})
    data = bytes([Frame.DATA]) + (1).to_bytes(4, "big") + b"x" * WINDOW
    await server.feed(data)
    with pytest.raises(ValueError, match="more than the"):
        await server.feed(data)


@pytest.mark.parametrize("message", [b"", b"\x02", bytes([9, 0, 0, 0, 1])])
async def test_what_is_no_frame_is_refused(message: bytes) -> None:
    server = Mux(_nowhere)
    await server.open({})
    with pytest.raises(ValueError, match="frame"):
        await server.feed(message)


async def _nowhere(_message: bytes) -> None:
    """A connection that takes what it is given."""
