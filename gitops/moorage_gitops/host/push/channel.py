"""The server's end of a hook's relay (``relay.py`` holds the other and describes the frames)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

_MAX_FRAME = 1 << 20


class HookGone(Exception):
    """The hook ended before it was answered: Git was stopped or the pusher went away."""


@dataclass(frozen=True, slots=True)
class Began:
    """A hook that has started: its name and the variables that Git gave it."""

    hook: str
    variables: Mapping[str, str]


class HookChannel:
    """Talks to one hook after the other of one push."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def next_hook(self) -> Began | None:
        """The next hook that starts; None when Git has ended. Input left over from the one before is dropped."""
        while True:
            try:
                kind, payload = await self._frame()
            except HookGone:
                return None
            if kind == b"B":
                hook, *variables = payload.decode(errors="surrogateescape").split("\0")
                return Began(hook, dict(variable.split("=", 1) for variable in variables))

    async def input(self) -> bytes:
        """The next bytes of the hook's standard input; empty at its end. Raises HookGone."""
        kind, payload = await self._frame()
        return payload if kind == b"I" else b""

    async def all_input(self, limit: int = 16 << 20) -> bytes:
        """The hook's whole standard input. Raises HookGone, and ValueError past ``limit`` bytes."""
        data = bytearray()
        while chunk := await self.input():
            data += chunk
            if len(data) > limit:
                raise ValueError("the hook's input is too long")
        return bytes(data)

    async def output(self, data: bytes) -> None:
        """Write to the hook's standard output."""
        await self._send(b"O", data)

    async def say(self, text: str) -> None:
        """Show lines of text to the pusher, at once, as ``remote:`` lines."""
        await self._send(b"E", text.encode(errors="replace"))

    async def exit(self, status: int) -> None:
        """End the hook."""
        await self._send(b"X", b"%d" % status)

    async def _frame(self) -> tuple[bytes, bytes]:
        try:
            head = await self._reader.readexactly(5)
            length = int.from_bytes(head[1:], "big")
            if length > _MAX_FRAME:
                raise HookGone
            return head[:1], await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise HookGone from None

    async def _send(self, kind: bytes, payload: bytes) -> None:
        if self._writer.is_closing():
            raise HookGone
        for at in range(0, max(len(payload), 1), _MAX_FRAME):
            part = payload[at : at + _MAX_FRAME]
            self._writer.write(kind + len(part).to_bytes(4, "big") + part)
        try:
            await self._writer.drain()
        except ConnectionError:
            raise HookGone from None
