"""Attached containers and commands on Docker: connections that stop being HTTP and carry bytes in both directions.

Source: Docker Engine API, "Attach to a container" and "Start an exec instance" (``Upgrade: tcp``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import orjson

from moorage_agent.engine import docker_streams
from moorage_agent.engine.contract import EngineError, EngineUnavailable, NoSuchContainer, SessionOptions
from moorage_agent.engine.docker_http import Transport

PIECE = 64 * 1024
RESULT_TRIES, RESULT_PAUSE = 100, 0.05
"""How often, and how many seconds apart, the result of a command is asked for whose output has just ended."""


class DockerSession:
    """Bytes to and from a container's process. ``target`` is its path in the API: ``/containers/ID`` or ``/exec/ID``."""

    def __init__(
        self,
        http: Transport,
        target: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        options: SessionOptions,
    ) -> None:
        self._http = http
        self._target = target
        self._reader = reader
        self._writer = writer
        self._options = options

    async def output(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """(1 or 2, bytes) as they come, until the process has closed both; a terminal's output is all 1."""
        chunks = self._chunks()
        if self._options.tty:
            async for data in chunks:
                yield 1, data
            return
        async for stream, data in docker_streams.framed(chunks):
            yield stream, data

    async def write(self, data: bytes) -> None:
        """Input; what a process that has ended cannot take is dropped."""
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def end_input(self) -> None:
        """End of file on the process' input."""
        with contextlib.suppress(OSError):
            if self._writer.can_write_eof():
                self._writer.write_eof()

    async def resize(self, width: int, height: int) -> None:
        """Set the terminal's size; nothing where the process has ended."""
        with contextlib.suppress(EngineError):
            await self._http.json("POST", f"{self._target}/resize", params={"w": str(width), "h": str(height)})

    async def exit_code(self) -> int:
        """Of a command whose output has ended. One that closed its output and runs on is waited for. Raises EngineError."""
        tries = 0
        while True:
            state = await self._http.json("GET", f"{self._target}/json")
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            tries += 1
            await asyncio.sleep(RESULT_PAUSE if tries < RESULT_TRIES else 1.0)

    async def _chunks(self) -> AsyncIterator[bytes]:
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(PIECE):
                yield data


@contextlib.asynccontextmanager
async def attached(http: Transport, container: str, options: SessionOptions) -> AsyncIterator[DockerSession]:
    """``POST /containers/ID/attach``."""
    wanted = {"stdin": options.stdin, "stdout": options.stdout, "stderr": options.stderr}
    query = urlencode({"stream": "1", **{name: str(int(value)) for name, value in wanted.items()}})
    target = f"/containers/{container}"
    async with _opened(http, f"{target}/attach?{query}", None) as (reader, writer):
        yield DockerSession(http, target, reader, writer, options)


@contextlib.asynccontextmanager
async def started(
    http: Transport, identity: str, container: str, options: SessionOptions
) -> AsyncIterator[DockerSession]:
    """``POST /exec/ID/start``. A command that still runs when the session ends is hung up, as by a lost terminal."""
    target = f"/exec/{identity}"
    async with _opened(http, f"{target}/start", {"Detach": False, "Tty": options.tty}) as (reader, writer):
        try:
            yield DockerSession(http, target, reader, writer, options)
        finally:
            await asyncio.shield(end_command(http, identity, container, signal.SIGHUP))


async def end_command(http: Transport, identity: str, container: str, number: signal.Signals) -> bool:
    """Send a signal to a command that runs: the engine has no call for it, but its process is one of this machine's. Returns
    whether the engine answered.
    """
    try:
        state = await http.json("GET", f"/exec/{identity}/json", timeout=5.0)
    except EngineUnavailable:
        return False
    except EngineError:
        return True
    pid = int(state.get("Pid") or 0)
    with contextlib.suppress(OSError):
        if state["Running"] and pid > 1 and _is_of(pid, container):
            os.kill(pid, number)
    return True


def _is_of(pid: int, container: str) -> bool:
    """Whether a process of this machine is one of the container's (the engine may count on another machine)."""
    return container in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")


@contextlib.asynccontextmanager
async def _opened(
    http: Transport, path: str, body: Mapping[str, object] | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        reader, writer = await http.hijack(path, b"" if body is None else orjson.dumps(body))
    except EngineError as error:
        if getattr(error, "code", 0) == 404:
            raise NoSuchContainer(str(error)) from error
        raise
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
