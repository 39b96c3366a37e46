"""Streams over one connection: frames and a multiplexer, the same at both ends of a node's tunnel.

A frame is ``type:u8 stream:u32 (big endian) payload``. OPEN's payload is a JSON request, CLOSE's is ``{"error":
Status or null}``, CREDIT's is
a u32: how many more bytes of DATA the sender of the frame will take on that stream. Credit keeps a slow reader of
one stream from holding up
the others: a writer without credit waits, the connection does not.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import IntEnum
from typing import Any

import orjson

WINDOW = 256 * 1024
"""Bytes that a writer may send ahead of its reader."""
CHUNK = 32 * 1024
"""Payload bytes of one DATA frame at most, so that streams take turns."""

_HEADER = struct.Struct("!BI")
_CREDIT = struct.Struct("!I")

Status = dict[str, Any]
Send = Callable[[bytes], Awaitable[None]]


class Frame(IntEnum):
    """Frame types."""

    OPEN = 1
    DATA = 2
    CLOSE = 3
    CREDIT = 4


class TunnelError(Exception):
    """The other end closed a stream with an error, or the tunnel broke. ``status`` is a Kubernetes Status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.get("message", "the tunnel broke"))
        self.status = status


def broken(message: str) -> Status:
    """A Status for a tunnel that is gone: the caller may try again (503)."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "ServiceUnavailable",
        "message": message,
        "code": 503,
    }


class Stream:
    """One stream: read it by iteration, write it with ``write``, end it with ``close``."""

    def __init__(self, mux: Mux, number: int, request: dict[str, Any]) -> None:
        self.request = request
        self._mux = mux
        self._number = number
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._credit = WINDOW
        self._writable = asyncio.Event()
        self._writable.set()
        self._error: Status | None = None
        self._ended = False
        self._unread = 0
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while (data := await self._inbox.get()) is not None:
            yield data
            self._unread -= len(data)
            if not self.closed:
                await self._mux.send(Frame.CREDIT, self._number, _CREDIT.pack(len(data)))
        self._inbox.put_nowait(None)
        if self._error:
            raise TunnelError(self._error)

    async def write(self, data: bytes) -> None:
        """Send ``data``, waiting for credit. Raises TunnelError where the other end has closed the stream."""
        view = memoryview(data)
        while view:
            await self._writable.wait()
            if self._ended:
                raise TunnelError(self._error or broken("the other end closed the stream"))
            size = min(len(view), self._credit, CHUNK)
            self._credit -= size
            if not self._credit:
                self._writable.clear()
            await self._mux.send(Frame.DATA, self._number, bytes(view[:size]))
            view = view[size:]

    async def close(self, error: Status | None = None) -> None:
        """End the stream in both directions; idempotent."""
        if self.closed:
            return
        self.closed = True
        self._mux.forget(self._number)
        if not self._ended:
            self.end(error)
            await self._mux.send(Frame.CLOSE, self._number, orjson.dumps({"error": error}))

    def deliver(self, data: bytes) -> None:
        """DATA has arrived. Raises ValueError where the other end sends more than it was allowed: a node is not
        trusted with our memory.
        """
        self._unread += len(data)
        if self._unread > WINDOW:
            raise ValueError(f"stream {self._number} sent more than the {WINDOW} bytes it may send ahead")
        self._inbox.put_nowait(data)

    def grant(self, credit: int) -> None:
        """CREDIT has arrived."""
        self._credit += credit
        self._writable.set()

    def end(self, error: Status | None) -> None:
        """CLOSE has arrived, or the tunnel broke: readers finish what is there, writers are refused."""
        self._error = self._error or error
        self._ended = True
        self._writable.set()
        self._inbox.put_nowait(None)

    @property
    def ended(self) -> bool:
        """Whether nothing more will arrive."""
        return self._ended


Handler = Callable[[Stream], Awaitable[None]]


class Mux:
    """Many streams over one message connection. ``feed`` it every message that arrives; call ``abort`` when the
    connection is gone.

    ``handler`` serves streams that the other end opens; its task is cancelled when the other end closes the stream.
    An exception other than
    TunnelError that escapes a handler ends the stream with a 500 and is reported through the event loop's exception handler.
    """

    def __init__(self, send: Send, handler: Handler | None = None) -> None:
        self._send = send
        self._handler = handler
        self._streams: dict[int, Stream] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._next = 1
        self._gone: Status | None = None

    async def open(self, request: dict[str, Any]) -> Stream:
        """Open a stream. Raises TunnelError where the connection is gone."""
        if self._gone:
            raise TunnelError(self._gone)
        number, self._next = self._next, self._next + 1
        stream = self._streams[number] = Stream(self, number, request)
        await self.send(Frame.OPEN, number, orjson.dumps(request))
        return stream

    async def send(self, type_: Frame, number: int, payload: bytes) -> None:
        """Send one frame. What a gone connection cannot take is dropped: its streams have ended already."""
        if self._gone is None:
            await self._send(_HEADER.pack(type_, number) + payload)

    async def feed(self, message: bytes) -> None:
        """Act on one arrived frame. Raises ValueError for what is no frame: the caller ends the connection."""
        if len(message) < _HEADER.size:
            raise ValueError("a tunnel frame is at least 5 bytes")
        type_, number = _HEADER.unpack_from(message)
        payload = message[_HEADER.size :]
        if type_ == Frame.OPEN:
            await self._accept(number, payload)
            return
        stream = self._streams.get(number)
        if stream is None:
            return  # closed here while the frame was under way
        if type_ == Frame.DATA:
            stream.deliver(payload)
        elif type_ == Frame.CREDIT:
            stream.grant(int.from_bytes(payload[: _CREDIT.size], "big"))
        elif type_ == Frame.CLOSE:
            self.forget(number)
            stream.end(orjson.loads(payload).get("error"))
            if task := self._tasks.get(number):
                task.cancel()
        else:
            raise ValueError(f"unknown tunnel frame type {type_}")

    async def _accept(self, number: int, payload: bytes) -> None:
        if self._handler is None or number in self._streams:
            raise ValueError(f"stream {number} may not be opened by this end")
        stream = self._streams[number] = Stream(self, number, orjson.loads(payload))
        task = asyncio.create_task(self._serve(stream), name=f"tunnel stream {number}")
        self._tasks[number] = task
        task.add_done_callback(lambda _task: self._tasks.pop(number, None))

    async def _serve(self, stream: Stream) -> None:
        assert self._handler is not None
        error: Status | None = broken("the stream's handler was stopped")
        try:
            await self._handler(stream)
            error = None
        except TunnelError as refusal:
            error = refusal.status
        except Exception as failure:  # noqa: BLE001 - the edge of the stream's loop: one stream's fault must not end the tunnel
            error = {
                **broken(f"{type(failure).__name__} while serving the stream"),
                "code": 500,
                "reason": "InternalError",
            }
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "a tunnel stream failed", "exception": failure})
        finally:
            await stream.close(error)

    def forget(self, number: int) -> None:
        """Stop routing frames to a stream."""
        self._streams.pop(number, None)

    async def abort(self, message: str) -> None:
        """The connection is gone: every stream ends with an error, every handler is cancelled and waited for."""
        self._gone = broken(message)
        for stream in list(self._streams.values()):
            stream.end(self._gone)
        self._streams.clear()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
