"""An engine that runs nothing: containers are entries that behave as their environment says. For tests, and for people
who want to see what the agent does with a pod that is slow, broken or hanging.

Variables of a container: ``FAKE_RUN_FOR`` (seconds until it ends by itself), ``FAKE_EXIT_CODE``, ``FAKE_OUTPUT``,
``FAKE_START_ERROR`` (text), ``FAKE_IGNORES_TERM`` (any), ``FAKE_HANG`` (name of the call that never returns: create, start,
stop, exec), ``FAKE_EXEC`` (JSON: command joined by spaces -> [exit code, output]), ``FAKE_MEMORY`` (bytes), ``FAKE_CPU``
(cores). The whole engine is scripted through ``available``, ``images`` and ``pulls``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

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
    SessionOptions,
    State,
    Summary,
    Usage,
)
from moorage_agent.waiting import happened


@dataclass(slots=True)
class Fake:
    """One container: how it is now, what it was made from, and when it is to end by itself."""

    state: Container
    spec: ContainerSpec
    env: Mapping[str, str]
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.TimerHandle | None = None


class FakeSession:
    """A process that says ``output``, then (``echo``) whatever it is told until its input ends or ``ended`` is set."""

    def __init__(self, code: int, output: bytes, *, echo: bool = False, ended: asyncio.Event | None = None) -> None:
        self.size = (0, 0)
        self._code = code
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._said.put_nowait(output)
        self._ended = ended
        if not echo and ended is None:
            self._said.put_nowait(None)

    async def output(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """What it says, until it ends."""
        waiting = [asyncio.ensure_future(self._ended.wait())] if self._ended is not None else []
        try:
            while True:
                saying = asyncio.ensure_future(self._said.get())
                await asyncio.wait((saying, *waiting), return_when=asyncio.FIRST_COMPLETED)
                if not saying.done() or (said := saying.result()) is None:
                    saying.cancel()
                    return
                yield 1, said
        finally:
            for future in waiting:
                future.cancel()

    async def write(self, data: bytes) -> None:
        """Hear ``data``."""
        self._said.put_nowait(data)

    async def end_input(self) -> None:
        """Hear that there is no more."""
        self._said.put_nowait(None)

    async def resize(self, width: int, height: int) -> None:
        """Remember the size."""
        self.size = (width, height)

    async def exit_code(self) -> int:
        """As scripted."""
        return self._code


class FakeEngine:
    """Containers in memory. ``calls`` records what was asked: (method, container name or image)."""

    def __init__(
        self, images: Sequence[str] = (), clock: Callable[[], float] = time.time, *, every_image: bool = False
    ) -> None:
        """``every_image`` has every image on the machine that somebody asks for."""
        self._every_image = every_image
        self.images: dict[str, Image] = {name: Image(f"sha256:{name}") for name in images}
        self.pulls: dict[str, str | None] = {}
        """Image name -> the error of a pull, or None for one that succeeds; other pulls fail."""
        self.own_files: dict[str, Places] = {}
        """Container name -> files of this machine that stand for what it writes by itself."""
        self.available = True
        self.calls: list[tuple[str, str]] = []
        self.most_running: dict[tuple[str, str], int] = {}
        """How many containers ran at the same time, by (pod uid, container) labels: the safety that tests look at."""
        self._clock = clock
        self._containers: dict[str, Fake] = {}
        self._numbers = itertools.count(1)
        self._listeners: list[tuple[Mapping[str, str], asyncio.Queue[Event | None]]] = []

    async def ping(self) -> None:
        """Answers while ``available``."""
        await self._call("ping", "")

    async def info(self) -> EngineInfo:
        """A small machine."""
        await self._call("info", "")
        return EngineInfo("fake", "0", 2, 2**32, True, "/nowhere")

    def keep_in(self, group: str, notes: Path) -> None:
        """It has no processes that could be forgotten."""
        self.calls.append(("keep_in", group))

    async def end_lost(self) -> Sequence[str]:
        """It forgets nothing."""
        await self._call("end_lost", "")
        return ()

    async def image(self, reference: str) -> Image | None:
        """By name."""
        await self._call("image", reference)
        if self._every_image:
            self.images.setdefault(reference, Image(f"sha256:{reference}"))
        return self.images.get(reference)

    async def pull(self, reference: str, credentials: Sequence[Credentials] = ()) -> None:
        """As ``pulls`` says."""
        await self._call("pull", reference)
        error = self.pulls.get(reference, None if self._every_image else f"no such image: {reference}")
        if error is not None:
            raise PullError(error)
        self.images[reference] = Image(f"sha256:{reference}", f"{reference}@sha256:0", 1)

    async def layers(self, reference: str) -> Sequence[str]:
        """There are none to mount."""
        await self._call("layers", reference)
        raise EngineError("the fake keeps no files")

    async def import_image(self, reference: str, archive: bytes, entrypoint: Sequence[str]) -> None:
        """Only the name counts."""
        await self._call("import_image", reference)
        self.images[reference] = Image(f"sha256:{reference}")

    async def remove_image(self, reference: str) -> None:
        """Refuses what Docker refuses: an image that a container was made of."""
        await self._call("remove_image", reference)
        if any(one.spec.image == reference for one in self._containers.values()):
            raise EngineError(f"conflict: unable to remove {reference}, a container uses it")
        self.images.pop(reference, None)

    async def create(self, spec: ContainerSpec) -> str:
        """Refuses what Docker refuses: a name that is taken, an image or a network container that is not there."""
        await self._call("create", spec.name, dict(entry.split("=", 1) for entry in spec.env))
        if any(one.state.name == spec.name for one in self._containers.values()):
            raise NameConflict(f"the container name {spec.name} is already in use")
        if spec.image not in self.images:
            raise NoSuchImage(f"No such image: {spec.image}")
        joined = spec.network.removeprefix("container:")
        if joined != spec.network and joined not in self._containers:
            raise NoSuchContainer(f"No such container: {joined}")
        number = next(self._numbers)
        identity = f"{number:064x}"
        state = Container(
            id=identity,
            name=spec.name,
            state=State.CREATED,
            labels=dict(spec.labels),
            created=self._clock(),
            image_id=self.images[spec.image].id,
            limits=spec.limits,
        )
        self._containers[identity] = Fake(state, spec, dict(entry.split("=", 1) for entry in spec.env))
        return identity

    async def start(self, container: str) -> None:
        """Runs until its time is up, it is stopped or it is killed."""
        one = await self._of(container, "start")
        if one.state.state is State.RUNNING:
            return
        problem = one.env.get("FAKE_START_ERROR", "")
        joined = one.spec.network.removeprefix("container:")
        if joined != one.spec.network and self._found(joined).state.state is not State.RUNNING:
            problem = f"cannot join network of a non running container: {joined}"
        if problem:
            one.state = replace(one.state, error=problem, exit_code=127)
            raise EngineError(problem)
        ip = (
            ""
            if one.spec.network.startswith(("container:", "host", "none"))
            else f"10.0.0.{int(container, 16) % 250 + 1}"
        )
        one.state = replace(one.state, state=State.RUNNING, started=self._clock(), finished=0.0, ip=ip, error="")
        one.ended.clear()
        self._count(one)
        self._emit("start", one)
        if "FAKE_RUN_FOR" in one.env:
            code = int(one.env.get("FAKE_EXIT_CODE", "0"))
            loop = asyncio.get_running_loop()
            one.timer = loop.call_later(float(one.env["FAKE_RUN_FOR"]), self._end, one, code)

    async def stop(self, container: str, grace: float) -> None:
        """Ends with 0, or after its grace with 137."""
        one = await self._of(container, "stop")
        if one.state.state is not State.RUNNING:
            return
        if "FAKE_IGNORES_TERM" not in one.env:
            self._end(one, int(one.env.get("FAKE_EXIT_CODE", "0")))
            return
        if not await happened(one.ended, grace):
            self._end(one, 137)

    async def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """SIGKILL ends with 137; other signals do nothing."""
        one = await self._of(container, "kill")
        if signal == "SIGKILL":
            self._end(one, 137)

    async def remove(self, container: str) -> None:
        """Ends and forgets it."""
        await self._call("remove", container)
        one = self._containers.pop(container, None)
        if one is not None:
            self._end(one, 137)
            self._emit("destroy", one)

    async def update(self, container: str, limits: Limits) -> None:
        """Remembers them."""
        one = await self._of(container, "update")
        one.state = replace(one.state, limits=limits)

    async def inspect(self, container: str) -> Container:
        """By id or name."""
        return (await self._of(container, "inspect")).state

    async def list(self, labels: Mapping[str, str]) -> Sequence[Summary]:
        """Those that carry all of ``labels``."""
        await self._call("list", "")
        return [
            Summary(one.state.id, one.state.state, one.state.labels)
            for one in self._containers.values()
            if _carries(one.state.labels, labels)
        ]

    async def wait(self, container: str) -> int:
        """Until it has ended."""
        one = await self._of(container, "wait")
        if one.state.state is State.RUNNING:
            await one.ended.wait()
        return one.state.exit_code

    async def exec(self, container: str, command: Sequence[str], timeout: float) -> ExecResult:
        """As ``FAKE_EXEC`` says; a command that it does not name succeeds."""
        async with asyncio.timeout(timeout):
            one = await self._of(container, "exec")
        if one.state.state is not State.RUNNING:
            raise EngineError(f"Container {container} is not running")
        code, output = orjson.loads(one.env.get("FAKE_EXEC", "{}")).get(" ".join(command), (0, ""))
        return ExecResult(code, output.encode())

    async def logs(self, container: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """``FAKE_OUTPUT``, then, when followed, nothing more until it ends."""
        one = await self._of(container, "logs")
        lines = one.env.get("FAKE_OUTPUT", "").splitlines(keepends=True)
        chosen = lines if options.tail is None else lines[len(lines) - min(options.tail, len(lines)) :]
        if options.since > one.state.started:
            chosen = []
        if options.timestamps:
            moment = datetime.fromtimestamp(one.state.started, UTC)
            chosen = [f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond * 1000:09d}Z {line}" for line in chosen]
        if one.state.started and chosen:
            yield "".join(chosen).encode()
        if options.follow and one.state.state is State.RUNNING:
            await one.ended.wait()

    @contextlib.asynccontextmanager
    async def attach(self, container: str, options: SessionOptions) -> AsyncGenerator[FakeSession, None]:
        """Says ``FAKE_OUTPUT``, then what it is told, until it ends."""
        one = await self._of(container, "attach")
        if one.state.state is not State.RUNNING:
            raise EngineError(f"Container {container} is not running")
        yield FakeSession(0, one.env.get("FAKE_OUTPUT", "").encode(), echo=options.stdin, ended=one.ended)

    @contextlib.asynccontextmanager
    async def command(
        self, container: str, command: Sequence[str], options: SessionOptions
    ) -> AsyncGenerator[FakeSession, None]:
        """As ``FAKE_EXEC`` says; with input, says that again."""
        result = await self.exec(container, command, 3600.0)
        yield FakeSession(result.exit_code, result.output, echo=options.stdin)

    async def usage(self, container: str) -> Usage:
        """As ``FAKE_MEMORY`` (bytes) and ``FAKE_CPU`` (cores) say, since it was started."""
        one = await self._of(container, "usage")
        if one.state.state is not State.RUNNING:
            return Usage()
        ran = self._clock() - one.state.started
        return Usage(int(one.env.get("FAKE_MEMORY", "4096")), float(one.env.get("FAKE_CPU", "0")) * ran, 1)

    async def places(self, container: str) -> Places:
        """As ``own_files`` says."""
        one = await self._of(container, "places")
        return self.own_files.get(one.spec.name, Places())

    async def events(self, labels: Mapping[str, str]) -> AsyncGenerator[Event | None, None]:
        """From now on, until ``disconnect``."""
        await self._call("events", "")
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.append((labels, queue))
        try:
            yield None
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._listeners = [entry for entry in self._listeners if entry[1] is not queue]

    def disconnect(self) -> None:
        """End all event streams, as a restarting engine does."""
        for _, queue in self._listeners:
            queue.put_nowait(None)

    async def close(self) -> None:
        """Forget timers."""
        for one in self._containers.values():
            if one.timer is not None:
                one.timer.cancel()

    def specs(self) -> dict[str, ContainerSpec]:
        """What is there, by name."""
        return {one.state.name: one.spec for one in self._containers.values()}

    async def _call(self, method: str, about: str, env: Mapping[str, str] | None = None) -> None:
        self.calls.append((method, about))
        await asyncio.sleep(0)
        if not self.available:
            raise EngineUnavailable("container engine: the fake is switched off")
        if env is not None and env.get("FAKE_HANG") == method:
            await asyncio.Event().wait()

    async def _of(self, container: str, method: str) -> Fake:
        one = self._found(container)
        await self._call(method, one.state.name, one.env)
        return self._found(container)

    def _found(self, container: str) -> Fake:
        one = self._containers.get(container)
        if one is None:
            one = next((other for other in self._containers.values() if other.state.name == container), None)
        if one is None:
            raise NoSuchContainer(f"No such container: {container}")
        return one

    def _end(self, one: Fake, code: int) -> None:
        if one.timer is not None:
            one.timer.cancel()
        if one.state.state is State.RUNNING:
            one.state = replace(one.state, state=State.EXITED, finished=self._clock(), exit_code=code, ip="")
            one.ended.set()
            self._emit("die", one)

    def _emit(self, action: str, one: Fake) -> None:
        for labels, queue in self._listeners:
            if _carries(one.state.labels, labels):
                queue.put_nowait(Event(action, one.state.id, one.state.labels))

    def _count(self, started: Fake) -> None:
        key = (started.state.labels.get("moorage.io/pod-uid", ""), started.state.labels.get("moorage.io/container", ""))
        same = [
            one
            for one in self._containers.values()
            if one.state.state is State.RUNNING
            and (one.state.labels.get("moorage.io/pod-uid", ""), one.state.labels.get("moorage.io/container", ""))
            == key
        ]
        self.most_running[key] = max(self.most_running.get(key, 0), len(same))


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())
