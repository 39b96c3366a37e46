"""The contract on Docker Engine. ``docs/decisions/the-agent-speaks-http-to-docker.md`` says why not through the SDK."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import logging
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from moorage_agent import threads
from moorage_agent.engine import docker_logs, docker_session, docker_streams, docker_wire
from moorage_agent.engine.contract import (
    Container,
    ContainerSpec,
    Credentials,
    EngineError,
    EngineInfo,
    EngineUnavailable,
    Event,
    ExecResult,
    Image,
    Limits,
    LogOptions,
    NameConflict,
    NoSuchContainer,
    NoSuchImage,
    Places,
    PullError,
    Session,
    SessionOptions,
    State,
    Summary,
    Usage,
)
from moorage_agent.engine.docker_http import Refused, Transport
from moorage_agent.engine.groups import Groups
from moorage_agent.engine.lost import Lost

log = logging.getLogger(__name__)

START = 180.0
"""Seconds in which a start must have happened; a start behind many others waits for them in the engine."""
PULL_IDLE = 300.0
"""Seconds without progress after which a pull has failed."""
EXEC_OUTPUT = 10 * 1024
LOG_THREADS = 2
LOG_PATIENCE = 3.0
"""Seconds in which the engine has to answer before a log is read from its files."""
SUBSCRIBE = 30.0
"""Seconds in which a subscription to events must stand."""
USAGE = 10.0
"""Seconds for a reading of what a container uses: whoever asks for it waits for many."""
CONFIRM = 2.0
"""Seconds after which a container that seems lost is looked at again before its processes are ended."""
ACTIONS = ("start", "die", "oom", "destroy")


class DockerEngine:
    """One Docker Engine, by its socket."""

    def __init__(self, address: str = "unix:///var/run/docker.sock") -> None:
        self._http = Transport(address)
        self._groups: Groups | None = None
        self._lost: Lost | None = None
        self._driver: str | None = None
        self._starting: set[str] = set()
        self._files = threads.pool(LOG_THREADS, "container-logs")
        self._root: Path | None = None

    async def ping(self) -> None:
        """``GET /_ping``, with a short deadline: a hanging engine is a dead one."""
        await self._http.json("GET", "/_ping", timeout=10.0)

    async def info(self) -> EngineInfo:
        """``GET /info``."""
        document = await self._http.json("GET", "/info")
        self._root, self._driver = Path(document["DockerRootDir"]), str(document.get("CgroupDriver") or "")
        return EngineInfo(
            name="docker",
            version=document["ServerVersion"],
            cpus=int(document["NCPU"]),
            memory=int(document["MemTotal"]),
            live_restore=bool(document.get("LiveRestoreEnabled")),
            root=document["DockerRootDir"],
            operating_system=document.get("OperatingSystem", ""),
            kernel=document.get("KernelVersion", ""),
        )

    def keep_in(self, group: str, notes: Path) -> None:
        """``HostConfig.CgroupParent``."""
        self._groups, self._lost = Groups(group), Lost(notes)

    async def end_lost(self) -> Sequence[str]:
        """Compares groups with ``GET /containers/json``; twice, as an engine may be starting what it does not show yet."""
        if self._groups is None or self._lost is None or not (suspects := await self._suspects(self._groups)):
            return ()
        await asyncio.sleep(CONFIRM)
        lost = sorted(suspects & await self._suspects(self._groups))
        for container in lost:
            self._lost.add(container)
            if not await asyncio.to_thread(self._groups.end, container):
                log.warning("processes of container %s, which the engine lost, do not end", container[:12])
        return lost

    async def _suspects(self, groups: Groups) -> set[str]:
        """Containers that have a control group and do not run, as the engine says."""
        grouped = await asyncio.to_thread(groups.containers) - self._starting
        known = {one.id: one.state for one in await self.list({})}
        if self._lost is not None:
            self._lost.keep(known)
        return {one for one in grouped if known.get(one) is not State.RUNNING and not await self._runs(one)}

    async def _runs(self, container: str) -> bool:
        """Whether it does now; the engine answers this question after a start that is under way."""
        try:
            return (await self.inspect(container)).state is State.RUNNING
        except NoSuchContainer:
            return False

    async def _cgroup_parent(self) -> str:
        """What containers are put into; "" for the engine's own choice. Asked of it once."""
        if self._groups is None:
            return ""
        if self._driver is None:
            await self.info()
        return self._groups.parent(self._driver or "")

    async def image(self, reference: str) -> Image | None:
        """``GET /images/NAME/json``."""
        try:
            return docker_wire.image(await self._http.json("GET", f"/images/{quote(reference, safe='/:@')}/json"))
        except Refused as error:
            if error.code == 404:
                return None
            raise

    async def pull(self, reference: str, credentials: Sequence[Credentials] = ()) -> None:
        """``POST /images/create``; errors come in the progress stream as well as in the status."""
        last: PullError | None = None
        for attempt in credentials or (None,):
            try:
                await self._pull(reference, attempt)
                return
            except PullError as error:
                last = error
        assert last is not None
        raise last

    async def _pull(self, reference: str, credentials: Credentials | None) -> None:
        headers = {}
        if credentials is not None:
            auth = orjson.dumps({"username": credentials.username, "password": credentials.password})
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(auth).decode("ascii")
        try:
            async with self._http.open(
                "POST", "/images/create", params={"fromImage": reference}, headers=headers, idle=PULL_IDLE
            ) as answer:
                async for line in answer.content:
                    message = orjson.loads(line)
                    if "error" in message:
                        raise PullError(str(message["error"]))
        except Refused as error:
            raise PullError(str(error)) from error

    async def layers(self, reference: str) -> Sequence[str]:
        """``GET /images/NAME/json``: the folders of the storage driver overlay2."""
        try:
            document = await self._http.json("GET", f"/images/{quote(reference, safe='/:@')}/json")
        except Refused as error:
            raise NoSuchImage(str(error)) from error
        driver = document.get("GraphDriver") or {}
        if driver.get("Name") != "overlay2":
            raise EngineError(
                f"its storage driver {driver.get('Name') or 'unknown'} has no folders to mount, overlay2 has"
            )
        data = driver["Data"]
        return [data["UpperDir"], *(one for one in (data.get("LowerDir") or "").split(":") if one)]

    async def import_image(self, reference: str, archive: bytes, entrypoint: Sequence[str]) -> None:
        """``POST /images/create?fromSrc=-``."""
        name, _, tag = reference.rpartition(":")
        change = "ENTRYPOINT " + orjson.dumps(list(entrypoint)).decode("ascii")
        params = {"fromSrc": "-", "repo": name, "tag": tag, "changes": change}
        headers = {"Content-Type": "application/x-tar"}
        async with self._http.open(
            "POST", "/images/create", params=params, data=io.BytesIO(archive), headers=headers, timeout=120.0
        ) as answer:
            async for line in answer.content:
                if "error" in (message := orjson.loads(line)):
                    raise EngineError(str(message["error"]))

    async def remove_image(self, reference: str) -> None:
        """``DELETE /images/NAME``; 404 says that it is gone, 409 that it is used."""
        try:
            await self._http.json("DELETE", f"/images/{quote(reference, safe='/:@')}", timeout=START)
        except Refused as error:
            if error.code != 404:
                raise

    async def create(self, spec: ContainerSpec) -> str:
        """``POST /containers/create``."""
        body = docker_wire.create_body(spec)
        if parent := await self._cgroup_parent():
            body["HostConfig"]["CgroupParent"] = parent
        try:
            document = await self._http.json(
                "POST",
                "/containers/create",
                params={"name": spec.name},
                body=body,
                timeout=START,
            )
        except Refused as error:
            if error.code == 409:
                raise NameConflict(str(error)) from error
            if error.code == 404:
                missing = NoSuchImage if "image" in str(error).lower() else NoSuchContainer
                raise missing(str(error)) from error
            raise
        return str(document["Id"])

    async def start(self, container: str) -> None:
        """``POST /containers/ID/start``."""
        self._starting.add(container)
        try:
            await self._on(container, "POST", "/start", timeout=START)
        finally:
            self._starting.discard(container)

    async def stop(self, container: str, grace: float) -> None:
        """``POST /containers/ID/stop``: whole seconds, rounded up."""
        whole = max(0, -int(-grace // 1))
        await self._on(container, "POST", "/stop", params={"t": str(whole)}, timeout=whole + START)

    async def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """``POST /containers/ID/kill``; 409 says that it does not run."""
        try:
            await self._on(container, "POST", "/kill", params={"signal": signal})
        except Refused as error:
            if error.code != 409:
                raise

    async def remove(self, container: str) -> None:
        """``DELETE /containers/ID``; 409 says that a removal is under way already, which is then waited for. What is left of its
        processes then is nobody's.
        """
        with contextlib.suppress(NoSuchContainer):
            try:
                await self._on(container, "DELETE", "", params={"force": "1", "v": "1"}, timeout=START)
            except Refused as error:
                if error.code != 409:
                    raise
                await self._on(container, "POST", "/wait", params={"condition": "removed"}, timeout=START)
        if self._groups is not None and self._groups.has(container):
            await asyncio.to_thread(self._groups.end, container)

    async def update(self, container: str, limits: Limits) -> None:
        """``POST /containers/ID/update``."""
        await self._on(container, "POST", "/update", body=docker_wire.update_body(limits))

    async def inspect(self, container: str) -> Container:
        """``GET /containers/ID/json``."""
        found = docker_wire.container(await self._on(container, "GET", "/json"))
        return found if self._lost is None else self._lost.seen(found)

    async def list(self, labels: Mapping[str, str]) -> Sequence[Summary]:
        """``GET /containers/json``."""
        params = {"all": "1", "filters": _filters(labels)}
        found = await self._http.json("GET", "/containers/json", params=params)
        return [Summary(one["Id"], docker_wire.state(one["State"]), one.get("Labels") or {}) for one in found]

    async def wait(self, container: str) -> int:
        """``POST /containers/ID/wait``."""
        document = await self._on(container, "POST", "/wait", timeout=None)
        return int(document["StatusCode"])

    async def exec(self, container: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Three calls: create, start (whose answer is the output) and inspect."""
        identity = await self._prepare(container, command, SessionOptions())
        start = orjson.dumps({"Detach": False, "Tty": False})
        try:
            async with (
                asyncio.timeout(timeout),
                self._http.open("POST", f"/exec/{identity}/start", data=start) as answer,
            ):
                output = await docker_streams.head(docker_streams.frames(answer.content.iter_any()), EXEC_OUTPUT)
        except TimeoutError as error:
            if not await docker_session.end_command(self._http, identity, container, signal.SIGKILL):
                raise EngineUnavailable("the engine does not answer, so nothing is known of the command") from error
            raise
        state = await self._http.json("GET", f"/exec/{identity}/json")
        return ExecResult(int(state["ExitCode"] or 0), output)

    async def logs(self, container: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """The log's files, where they can be read; else ``GET /containers/ID/logs`` on a connection of its own.

        A log that nobody writes to is answered as late as by an engine that hangs, so what cannot take long is asked before.
        """
        path = await asyncio.get_running_loop().run_in_executor(self._files, self._log_file, container)
        if path is not None:
            pieces = docker_logs.read(path, options, self._files, lambda: self._ended(container))
            async with contextlib.aclosing(pieces):
                async for data in pieces:
                    yield data
            return
        await self._http.json("GET", "/_ping", timeout=LOG_PATIENCE)
        params = {"stdout": "1", "stderr": "1", "follow": str(int(options.follow))}
        params["timestamps"] = str(int(options.timestamps))
        params["tail"] = "all" if options.tail is None else str(options.tail)
        if options.since:
            params["since"] = f"{options.since:.9f}"
        try:
            async with self._http.open("GET", f"/containers/{container}/logs", params=params) as answer:
                chunks = answer.content.iter_any()
                async for data in chunks if options.tty else docker_streams.frames(chunks):
                    yield data
        except Refused as error:
            raise _missing(error) from error

    def _log_file(self, container: str) -> Path | None:
        return docker_logs.file(self._root, container) if self._root is not None else None

    async def _ended(self, container: str) -> None:
        """Returns when it has ended or is gone; an engine that is away for a while ends no log."""
        while True:
            try:
                await self.wait(container)
                return
            except EngineUnavailable:
                await asyncio.sleep(1.0)
            except EngineError:
                return

    @contextlib.asynccontextmanager
    async def attach(self, container: str, options: SessionOptions) -> AsyncGenerator[Session, None]:
        """``POST /containers/ID/attach``, which opens a stream for what has ended, too."""
        if (await self.inspect(container)).state is not State.RUNNING:
            raise EngineError(f"Container {container} is not running")
        async with docker_session.attached(self._http, container, options) as session:
            yield session

    @contextlib.asynccontextmanager
    async def command(
        self, container: str, command: Sequence[str], options: SessionOptions
    ) -> AsyncGenerator[Session, None]:
        """``POST /containers/ID/exec``, then ``POST /exec/ID/start``."""
        identity = await self._prepare(container, command, options)
        async with docker_session.started(self._http, identity, container, options) as session:
            yield session

    async def _prepare(self, container: str, command: Sequence[str], options: SessionOptions) -> str:
        body = {
            "Cmd": list(command),
            "AttachStdin": options.stdin,
            "AttachStdout": options.stdout,
            "AttachStderr": options.stderr and not options.tty,
            "Tty": options.tty,
        }
        return str((await self._on(container, "POST", "/exec", body=body))["Id"])

    async def usage(self, container: str) -> Usage:
        """``GET /containers/ID/stats``, one reading."""
        params = {"stream": "0", "one-shot": "1"}
        return docker_wire.usage(await self._on(container, "GET", "/stats", params=params, timeout=USAGE))

    async def places(self, container: str) -> Places:
        """``GET /containers/ID/json``: the upper folder of the storage driver overlay2, and the file of the driver json-file."""
        document = await self._on(container, "GET", "/json")
        driver = document.get("GraphDriver") or {}
        layer = (driver.get("Data") or {}).get("UpperDir") if driver.get("Name") == "overlay2" else ""
        return Places(str(layer or ""), str(document.get("LogPath") or ""))

    async def events(self, labels: Mapping[str, str]) -> AsyncGenerator[Event | None, None]:
        """``GET /events``. The engine answers as soon as the subscription stands."""
        filters = orjson.loads(_filters(labels))
        filters.update(type=["container"], event=list(ACTIONS))
        params = {"filters": orjson.dumps(filters).decode()}
        async with self._http.open("GET", "/events", params=params, head=SUBSCRIBE) as answer:
            yield None
            async for line in answer.content:
                if line.strip():
                    message = orjson.loads(line)
                    actor = message["Actor"]
                    yield Event(message["Action"], actor["ID"], actor.get("Attributes") or {})

    async def close(self) -> None:
        """Close the connections."""
        self._files.shutdown(wait=False, cancel_futures=True)
        await self._http.close()

    async def _on(
        self,
        container: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        timeout: float | None = 60.0,
    ) -> Any:
        """A call about one container: 404 is NoSuchContainer."""
        target = f"/containers/{quote(container, safe='')}{path}"
        try:
            return await self._http.json(method, target, params=params, body=body, timeout=timeout or 10.0**9)
        except Refused as error:
            raise _missing(error) from error


def _missing(error: Refused) -> EngineError:
    return NoSuchContainer(str(error)) if error.code == 404 else error


def _filters(labels: Mapping[str, str]) -> str:
    return orjson.dumps({"label": [f"{name}={value}" for name, value in labels.items()]}).decode()
