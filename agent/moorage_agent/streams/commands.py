"""``exec`` and ``attach``: a process' input and output over a stream of the tunnel."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson

from moorage.client.channels import Channel, Channels
from moorage.client.tunnel import Stream
from moorage_agent.engine.contract import Engine, EngineError, EngineUnavailable, Session, SessionOptions
from moorage_agent.streams.finding import Find, Request, refusal, running

SUCCESS = {"metadata": {}, "status": "Success"}


class Commands:
    """Runs commands in containers, and attaches to what runs in them."""

    def __init__(self, engine: Engine, find: Find) -> None:
        self._engine = engine
        self._find = find

    async def serve(self, stream: Stream) -> None:
        """Serve one stream of kind ``exec`` or ``attach``. Raises TunnelError."""
        request = stream.request
        attempt, container = running(self._find, request)
        is_command = request["kind"] == "exec"
        options = SessionOptions(
            stdin=bool(request.get("stdin")) and (is_command or bool(container.get("stdin"))),
            stdout=bool(request.get("stdout")),
            stderr=bool(request.get("stderr")),
            tty=bool(request.get("tty")) if is_command else bool(container.get("tty")),
        )
        if request.get("check"):
            return
        channels = Channels(stream)
        try:
            async with self._session(request, attempt.container.id, options) as session:
                await channels.send(Channel.READY)
                await self._talk(channels, session, options)
                status = _result(await session.exit_code()) if is_command else SUCCESS
                await channels.send(Channel.ERROR, orjson.dumps(status))
        except EngineUnavailable as error:
            raise refusal(503, "ServiceUnavailable", str(error)) from error
        except EngineError as error:
            raise refusal(500, "InternalError", f"unable to upgrade connection: {error}") from error

    def _session(
        self, request: Request, identity: str, options: SessionOptions
    ) -> AbstractAsyncContextManager[Session]:
        if request["kind"] == "exec":
            return self._engine.command(identity, request["command"], options)
        return self._engine.attach(identity, options)

    async def _talk(self, channels: Channels, session: Session, options: SessionOptions) -> None:
        """Until the process has no more to say."""
        listener = asyncio.create_task(_listen(channels, session, options), name="input of a command")
        try:
            wanted = {1: options.stdout, 2: options.stderr}
            async with contextlib.aclosing(session.output()) as output:
                async for number, data in output:
                    if wanted[number]:
                        await channels.send(number, data)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)


async def _listen(channels: Channels, session: Session, options: SessionOptions) -> None:
    async for channel, data in channels:
        if channel == Channel.STDIN and options.stdin:
            await session.write(data)
        elif channel == Channel.CLOSE and data == bytes((Channel.STDIN,)):
            await session.end_input()
        elif channel == Channel.RESIZE and options.tty:
            size = _size(data)
            if size is not None:
                await session.resize(*size)


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a terminal (``{"Width": 80, "Height": 24}``); None for what is none."""
    try:
        document: Any = orjson.loads(data)
        width, height = int(document["Width"]), int(document["Height"])
    except (ValueError, KeyError, TypeError):
        return None
    return (width, height) if 0 < width < 2**16 and 0 < height < 2**16 else None


def _result(code: int) -> dict[str, Any]:
    """The Status of a command's end (apimachinery, ``NonZeroExitCodeReason``)."""
    if code == 0:
        return SUCCESS
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit status {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "NonZeroExitCode",
        "details": {"causes": causes},
    }
