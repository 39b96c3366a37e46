"""``git push``: streams between the client and ``git receive-pack``, whose hooks speak to us over an inherited socket."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from moorage_gitops.host.git.process import Git, collect
from moorage_gitops.host.http import fetch, status
from moorage_gitops.host.http.exchange import Exchange, Refusal
from moorage_gitops.host.http.head import BadPush, PushHead
from moorage_gitops.host.push.channel import HookChannel
from moorage_gitops.host.push.relay import FD_VARIABLE
from moorage_gitops.host.push.session import PushSession

logger = logging.getLogger(__name__)
RESULT = "application/x-git-receive-pack-result"
_READ = 1 << 16


async def serve(
    git: Git,
    repository: Path,
    exchange: Exchange,
    head: PushHead,
    body: AsyncIterator[bytes],
    session: PushSession,
    settled: Callable[[], Awaitable[None]],
) -> None:
    """Answer one ``git-receive-pack`` request whose ``head`` has been read from ``body``. Raises Refusal and Disconnected.

    ``settled`` is awaited when everything is decided and before the pusher reads the report.
    """
    ours, theirs = socket.socketpair()
    try:
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    channel = HookChannel(reader, writer)
    command = ["receive-pack", "--stateless-rpc", str(repository)]
    environment = {FD_VARIABLE: str(theirs.fileno()), **fetch.protocol(exchange)}
    try:
        async with git.spawn(repository, command, extra=environment, fds=[theirs.fileno()]) as process:
            theirs.close()
            assert process.stdout is not None
            assert process.stderr is not None
            feeding = asyncio.ensure_future(fetch.feed(process, _chain(head.data, body)))
            deciding = asyncio.ensure_future(session.serve(channel))
            complaints = asyncio.ensure_future(collect(process.stderr))
            completer = status.Completer(session.refusal)
            try:
                await exchange.start(RESULT)
                while chunk := await process.stdout.read(_READ):
                    await exchange.send(completer.feed(chunk))
                if await process.wait():
                    logger.info("git receive-pack: %s", (await complaints).decode(errors="replace").strip()[:500])
                await deciding
                await session.settle()
                await settled()
                await exchange.send(completer.report() or _unreported(head, feeding), more=False)
            finally:
                await _finish(session, feeding, deciding, complaints)
    finally:
        theirs.close()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def refuse(exchange: Exchange, refusal: BadPush) -> None:
    """Answer a push that Git need not see."""
    await exchange.answer(RESULT, status.refused(refusal.refs, refusal.message))


def _unreported(head: PushHead, feeding: asyncio.Future[None]) -> bytes:
    """Git was stopped, or fell, before it reported."""
    error = feeding.exception() if feeding.done() and not feeding.cancelled() else None
    reason = error.message if isinstance(error, Refusal) else "git receive-pack ended early; the server's log says more"
    return status.refused(head.refs, reason)


async def _finish(session: PushSession, *tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # A decision that has begun is carried through: it may stand between its transaction and the ref on disk.
    await session.settle()


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
