"""One push: answers its hooks. ``pre-receive`` validates, so that a refused pack is never kept; ``proc-receive`` applies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from moorage_gitops.host.deploy.problems import Refused
from moorage_gitops.host.push import commands
from moorage_gitops.host.push.channel import Began, HookChannel, HookGone
from moorage_gitops.host.push.deployment import Deployment
from moorage_gitops.host.push.proc import ProcReceive

logger = logging.getLogger(__name__)


class PushSession:
    """Serves the hooks of one push. ``accepted`` says whether it changed anything, ``commit`` what it makes current.

    ``applied`` is called once everything is written: from then on the push only waits for its application.
    """

    def __init__(
        self, deployment: Deployment, lock: asyncio.Lock, options: list[str], applied: Callable[[], None]
    ) -> None:
        self._deployment = deployment
        self._applied = applied
        self._lock = lock
        self._options = options
        self._holding = False
        self._work: asyncio.Future[None] | None = None
        self._reason = ""
        self.commit = ""
        self.accepted = False

    def refusal(self, _ref: str) -> str:
        """Why the push was refused, in one line; "" where it was not."""
        return self._reason

    async def serve(self, channel: HookChannel) -> None:
        """Answer hook after hook until Git ends. Cancelling leaves a decision that has begun to ``settle``."""
        while (began := await channel.next_hook()) is not None:
            self._work = asyncio.ensure_future(self._decide(channel, began))
            await asyncio.shield(self._work)

    async def settle(self) -> None:
        """Wait for a decision that has begun, and let the next push to the repository in."""
        if self._work is not None:
            await self._work
        self._release()

    async def _decide(self, channel: HookChannel, began: Began) -> None:
        try:
            if began.hook == "pre-receive":
                await self._pre_receive(channel, began)
            else:
                await self._proc_receive(channel)
        except HookGone:
            logger.info("a push ended before it was decided")

    async def _pre_receive(self, channel: HookChannel, began: Began) -> None:
        asked = commands.parse((await channel.all_input()).splitlines())
        self.commit = next((command.new for command in asked if command.new), "")
        await self._lock.acquire()
        self._holding = True
        try:
            lines = await self._deployment.validate(
                asked, commands.options(self._options), began.variables, _Teller(channel)
            )
        except Refused as refusal:
            self._reason = refusal.reason
            await say(channel, refusal.lines)
            await channel.exit(1)
            return
        except Exception:  # the edge of the push: the pusher is told, and the pack is not kept
            logger.exception("a push could not be validated")
            self._reason = "internal error; the server's log says more"
            await say(channel, ["Internal error; nothing was applied. The server's log says more."])
            await channel.exit(1)
            return
        await say(channel, lines)
        await channel.exit(0)

    async def _proc_receive(self, channel: HookChannel) -> None:
        hook = ProcReceive(channel)
        asked = await hook.commands()
        teller = _Teller(channel)
        reason = ""
        try:
            lines = await self._deployment.apply(asked)
            self.accepted = True
            self._release()
            self._applied()
            await teller(lines)
            await self._deployment.wait(teller)
        except Refused as refusal:
            reason = refusal.reason
            await say(channel, refusal.lines)
        except Exception:  # the edge of the push: the pusher is told to look the outcome up
            logger.exception("a push could not be applied")
            reason = "internal error; fetch to see whether it was applied"
        await hook.answer(asked, reason)

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._lock.release()


class _Teller:
    """Says lines to the pusher; one that went away does not stop what was begun."""

    def __init__(self, channel: HookChannel) -> None:
        self._channel = channel

    async def __call__(self, lines: Iterable[str]) -> None:
        try:
            await say(self._channel, lines)
        except HookGone:
            logger.info("a pusher went away; its push goes on")


async def say(channel: HookChannel, lines: Iterable[str]) -> None:
    """Show lines to the pusher. Control characters of file names and messages do not reach the terminal."""
    text = "".join(f"{_printable(line)}\n" for line in lines)
    if text:
        await channel.say(text)


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line)
