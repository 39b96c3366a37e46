"""The proc-receive protocol (githooks, "proc-receive") over a hook's relay."""

from __future__ import annotations

from collections.abc import Sequence

from moorage_gitops.host.git import pktline
from moorage_gitops.host.http.status import one_line
from moorage_gitops.host.push.channel import HookChannel, HookGone
from moorage_gitops.host.push.commands import Command, parse


class ProcReceive:
    """One proc-receive hook."""

    def __init__(self, channel: HookChannel) -> None:
        self._channel = channel
        self._pending = b""

    async def commands(self) -> list[Command]:
        """Agree on the protocol and read the commands. Raises HookGone."""
        await self._section()
        await self._channel.output(pktline.line(b"version=1\n") + pktline.FLUSH)
        return parse(await self._section())

    async def answer(self, commands: Sequence[Command], reason: str) -> None:
        """Report every command as done, or as refused where ``reason`` is not empty."""
        lines = b"".join(
            pktline.line(
                (f"ng {command.ref} {one_line(reason)}" if reason else f"ok {command.ref}").encode(
                    errors="surrogateescape"
                )
            )
            for command in commands
        )
        await self._channel.output(lines + pktline.FLUSH)
        await self._channel.exit(0)

    async def _section(self) -> list[bytes]:
        """Packets up to the next flush."""
        while (found := pktline.section(self._pending, 0)) is None:
            chunk = await self._channel.input()
            if not chunk:
                raise HookGone
            self._pending += chunk
        packets, end = found
        self._pending = self._pending[end:]
        return packets
