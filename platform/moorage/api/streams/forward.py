"""One forwarded connection: bytes between a client's stream and a port of a pod."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from moorage.api.errors import ApiError
from moorage.client.channels import Channel, Channels
from moorage.client.tunnel import Stream, TunnelError

AHEAD = 16
"""Messages of a client that wait for a pod that does not read; then the client waits."""

Open = Callable[[int], AbstractAsyncContextManager[Stream]]
"""Opens the node's stream to a port of the pod."""


class Forward:
    """A connection to ``port``. ``deliver`` takes what the pod says, and b"" at its end; ``fail`` the reason of a failure."""

    def __init__(
        self,
        open_port: Open,
        port: int,
        deliver: Callable[[bytes], Awaitable[None]],
        fail: Callable[[str], Awaitable[None]],
    ) -> None:
        self._open = open_port
        self._port = port
        self._deliver = deliver
        self._fail = fail
        self._said: asyncio.Queue[bytes] = asyncio.Queue(AHEAD)
        self._task = asyncio.create_task(self._run(), name=f"forward to port {port}")

    async def say(self, data: bytes) -> None:
        """Bytes of the client, b"" for their end. Waits while the pod does not read; dropped when it has gone."""
        putting = asyncio.ensure_future(self._said.put(data))
        try:
            await asyncio.wait((putting, self._task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()

    def cancel(self) -> None:
        """The client does not want it any more."""
        self._task.cancel()

    async def wait(self) -> None:
        """Until all is over."""
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async with self._open(self._port) as stream:
                channels = Channels(stream)
                upward = asyncio.create_task(self._upward(channels), name="forward: client's bytes")
                try:
                    async for channel, data in channels:
                        if channel == Channel.STDOUT and data:
                            await self._deliver(data)
                        elif channel == Channel.CLOSE:
                            break
                finally:
                    upward.cancel()
                    await asyncio.gather(upward, return_exceptions=True)
        except (TunnelError, ApiError) as error:
            await self._fail(str(error))
        await self._deliver(b"")

    async def _upward(self, channels: Channels) -> None:
        while data := await self._said.get():
            await channels.send(Channel.STDIN, data)
        await channels.send(Channel.CLOSE, bytes((Channel.STDIN,)))
