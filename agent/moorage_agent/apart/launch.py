"""Starts a node apart, looks after it, and ends it: network, relays, engine, agent, in this order and back.

Where the agent or the engine ends by itself, so does the whole; whoever started it (a supervisor, an init system) starts it
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from moorage_agent import identity
from moorage_agent.apart import underlay
from moorage_agent.apart.engine import Engine, EngineFailed, ended
from moorage_agent.apart.relay import Address, relays
from moorage_agent.apart.underlay import Place, UnderlayError
from moorage_agent.network.dns.upstream import RESOLV_CONF, servers
from moorage_agent.pods.labels import Owner
from moorage_agent.volumes import mounts

log = logging.getLogger(__name__)

FILE, ENGINE, LOCK = "apart.json", "engine", "apart.lock"
AGENT_SECONDS = 10.0


class ApartError(Exception):
    """The node cannot be started; the text says why."""


async def run(
    command: Sequence[str], data: Path, owner: Owner, server: str, environment: Mapping[str, str], passed: Sequence[int]
) -> None:
    """Run ``command``, an agent, as a node apart, until cancelled. It gets ``environment`` and the descriptors ``passed``.

    Raises ApartError, IdentityError.
    """
    if os.geteuid() != 0:
        raise ApartError("a node apart has a network and a Docker Engine of its own, which only root can make")
    data = _folder(data)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_held(data))
        stack.enter_context(contextlib.closing(identity.lock(owner)))
        try:
            await asyncio.to_thread(_clear, data)  # what a killed launcher left has the node's address
            there, place = await asyncio.to_thread(underlay.join, owner.cluster, _last(data))
            stack.callback(os.close, there)
            stack.push_async_callback(asyncio.to_thread, underlay.leave, place.mark, place.link)
            _remember(data, place)
            await stack.enter_async_context(relays(there, relayed(server, _resolvers())))
            engine = Engine(data / ENGINE, there)
            stack.push_async_callback(engine.stop)
            await engine.start()
            log.info("the engine of the node at %s runs in %s", place.address, engine.folder)
            await _agent(command, there, engine, {**environment, "DOCKER_HOST": engine.address}, passed)
        except (UnderlayError, EngineFailed, OSError) as error:
            raise ApartError(str(error)) from error


def clear(data: Path) -> None:
    """Remove what a node apart made beside its files, whatever became of its launcher. Blocking. Raises ApartError, OSError."""
    if not (data / FILE).is_file():
        return
    with _held(data):
        _clear(data)


def _clear(data: Path) -> None:
    if not (data / FILE).is_file():
        return
    Engine(data / ENGINE, -1).clear()
    for point in mounts.mounted_below(data / ENGINE):
        mounts.unmount(point)
    known = json.loads((data / FILE).read_text("ascii"))
    underlay.leave(str(known["mark"]), str(known["link"]))


def relayed(server: str, resolvers: Sequence[str]) -> list[Address]:
    """What the node reaches on its machine's loopback addresses. Pure."""
    parts = urlsplit(server)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    found = [Address(host, parts.port or 443)] if host.startswith("127.") else []
    local = [each for each in resolvers if each.startswith("127.")]
    return [*found, *(Address(each, 53, kind) for each in local for kind in ("udp", "tcp"))]


async def _agent(
    command: Sequence[str], there: int, engine: Engine, environment: Mapping[str, str], passed: Sequence[int]
) -> None:
    """The agent as a child of ours, until it ends or the engine does."""
    inside = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{there}", "--", *command)
    process = await asyncio.create_subprocess_exec(*inside, env=environment, pass_fds=passed)
    ends = [asyncio.create_task(process.wait(), name="agent"), asyncio.create_task(engine.wait(), name="engine")]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        await ended(process, AGENT_SECONDS)
    raise ApartError(f"the agent or the engine of the node ended (exit code of the agent: {process.returncode})")


def _folder(data: Path) -> Path:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return data.resolve()


def _resolvers() -> Sequence[str]:
    try:
        return servers(RESOLV_CONF.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return ()


def _last(data: Path) -> int:
    """The offset of the node's address when it ran last; 0 for a new one."""
    try:
        return int(json.loads((data / FILE).read_text("ascii"))["offset"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _remember(data: Path, place: Place) -> None:
    known = {"mark": place.mark, "link": place.link, "offset": underlay.offset(place)}
    draft = data / f"{FILE}.draft"
    draft.write_text(json.dumps(known), "ascii")
    draft.replace(data / FILE)


@contextlib.contextmanager
def _held(data: Path) -> Iterator[None]:
    """Only one launcher has a folder."""
    with (data / LOCK).open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ApartError(f"a node apart runs in {data}; stop it first") from None
        yield
