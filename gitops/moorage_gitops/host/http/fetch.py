"""Advertising refs, and ``git fetch``/``clone``: streams between the client and ``git upload-pack``."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from moorage_gitops.host.config import GitLimits
from moorage_gitops.host.git import pktline
from moorage_gitops.host.git.process import Git, collect
from moorage_gitops.host.http.exchange import Disconnected, Exchange, Refusal

_PROTOCOL = re.compile(r"[a-z0-9=:.-]{1,64}\Z")
_READ = 1 << 16


def protocol(exchange: Exchange) -> dict[str, str]:
    """The environment variable by which a client chooses the protocol version."""
    value = exchange.header(b"git-protocol")
    return {"GIT_PROTOCOL": value} if _PROTOCOL.match(value) else {}


async def advertise(git: Git, repository: Path, service: str, exchange: Exchange) -> None:
    """Answer ``info/refs``."""
    command = service.removeprefix("git-")
    refs = await git.run(
        repository, command, "--stateless-rpc", "--http-backend-info-refs", str(repository), extra=protocol(exchange)
    )
    # Version 2 has no service line (gitprotocol-v2, "HTTP Transport"), nor do servers agree; Git accepts both.
    preface = pktline.line(f"# service={service}\n".encode()) + pktline.FLUSH
    await exchange.answer(f"application/x-{service}-advertisement", preface + refs)


async def serve(git: Git, repository: Path, limits: GitLimits, exchange: Exchange) -> None:
    """Answer one ``git-upload-pack`` request. Raises Refusal and Disconnected."""
    async with git.spawn(
        repository, ["upload-pack", "--stateless-rpc", str(repository)], extra=protocol(exchange)
    ) as process:
        assert process.stderr is not None
        complaints = asyncio.ensure_future(collect(process.stderr))
        feeding = asyncio.ensure_future(feed(process, bounded(exchange.body(), limits.fetch_bytes)))
        try:
            await _stream_out(process, exchange, feeding)
            if await process.wait() and not exchange.started:
                raise Refusal(400, (await complaints).decode(errors="replace").strip() or "git upload-pack failed")
            if not exchange.started:
                await exchange.start("application/x-git-upload-pack-result")
            await exchange.send(b"", more=False)
        finally:
            for task in (feeding, complaints):
                task.cancel()
            await asyncio.gather(feeding, complaints, return_exceptions=True)


async def _stream_out(process: Process, exchange: Exchange, feeding: asyncio.Future[None]) -> None:
    assert process.stdout is not None
    while chunk := await process.stdout.read(_READ):
        if not exchange.started:
            await exchange.start("application/x-git-upload-pack-result")
        await exchange.send(chunk)
    if feeding.done():
        feeding.result()


async def bounded(body: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """``body``, refused (413) past ``limit`` bytes."""
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > limit:
            raise Refusal(413, f"the request is larger than {limit} bytes")
        yield chunk


async def drain(body: AsyncIterator[bytes]) -> None:
    """Read the rest of a body and drop it."""
    while await anext(body, b""):
        continue


async def feed(process: Process, body: AsyncIterator[bytes]) -> None:
    """Hand a body to a process.

    Where the process wants no more, the rest is read and dropped, so that the client comes to read the answer.
    """
    assert process.stdin is not None
    wanted = True
    try:
        async for chunk in body:
            # uvloop raises RuntimeError for a write after the other end has closed; nothing is awaited between the two.
            wanted = wanted and not process.stdin.is_closing()
            if not wanted:
                continue
            try:
                process.stdin.write(chunk)
                await process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                wanted = False
    except (Disconnected, Refusal):
        # A process that has ended its part by itself has said why.
        if wanted and process.returncode is None:
            process.terminate()
        raise
    finally:
        process.stdin.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await process.stdin.wait_closed()
