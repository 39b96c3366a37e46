"""What the agent asks of a container engine. No implementation lives here.

Times are seconds since the epoch (0.0: never), sizes bytes, CPU time microseconds. Every method may raise
``EngineUnavailable``; what else each raises is written at it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol


class EngineError(Exception):
    """The engine refused. The text is the engine's own sentence."""


class EngineUnavailable(EngineError):
    """No answer from the engine: it is down, restarting or hanging. Whether the call was done is unknown."""


class NoSuchContainer(EngineError):
    """The container is gone."""


class NoSuchImage(EngineError):
    """The image is not on this machine."""


class NameConflict(EngineError):
    """A container of this name exists already."""


class PullError(EngineError):
    """An image could not be fetched: not found, no right, no registry in reach."""


class State(StrEnum):
    """What a container does. Docker's paused counts as running, restarting and removing as exited."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Limits:
    """cgroup limits; 0 sets none. ``cpu_quota`` is microseconds of CPU time in each 100,000."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    memory: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine sees it. ``error`` is why it could not be started; ``ip`` is "" without a network of its own."""

    id: str
    name: str
    state: State
    labels: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    image_id: str = ""
    ip: str = ""
    pid: int = 0
    """The first process as the engine's machine counts it; 0 where none runs."""
    limits: Limits = Limits()
    """The cgroup limits that it has now."""


class Summary(NamedTuple):
    """A line of a list: cheap, without times and exit codes."""

    id: str
    state: State
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Image:
    """An image on this machine. ``digest`` is ``NAME@sha256:...`` where it came from a registry, else ""."""

    id: str
    digest: str = ""
    size: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the host at a path in the container. ``propagation`` is Docker's word, "" for private."""

    source: str
    target: str
    read_only: bool = False
    propagation: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A container port published on the host."""

    container_port: int
    host_port: int
    protocol: str = "tcp"
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class Security:
    """Rights of a container's processes. ``options`` are Docker's ``security-opt`` values."""

    user: str = ""
    groups: Sequence[str] = ()
    privileged: bool = False
    add: Sequence[str] = ()
    drop: Sequence[str] = ()
    read_only_root: bool = False
    options: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerSpec:
    """What to create. ``network``, ``ipc`` and ``pid`` are "" (the engine's default), "host", "none", "bridge",
    "shareable" (ipc only) or ``container:ID``. ``entrypoint`` and ``arguments`` of None keep the image's. ``runtime`` is what
    the engine is to run it with, "" for its default.
    """

    name: str
    image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] | None = None
    arguments: Sequence[str] | None = None
    env: Sequence[str] = ()
    working_dir: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    network: str = ""
    ipc: str = ""
    pid: str = ""
    hostname: str = ""
    domain: str = ""
    ports: Sequence[Port] = ()
    mounts: Sequence[Mount] = ()
    limits: Limits = Limits()
    security: Security = Security()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    oom_score_adj: int = 0
    runtime: str = ""
    stop_signal: str = ""
    """What asks it to end; "" for the image's own, or SIGTERM."""


class ExecResult(NamedTuple):
    """What a command in a container ended in, with the first 10 KiB of its output."""

    exit_code: int
    output: bytes


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a container's output. ``since`` in seconds since the epoch (0.0: all), ``tail`` lines (None: all).
    ``tty`` says that the container has a terminal, so that its output is one raw stream.
    """

    follow: bool = False
    tty: bool = False
    timestamps: bool = False
    since: float = 0.0
    tail: int | None = None


class SessionOptions(NamedTuple):
    """Which of a process' streams are wanted. With ``tty`` there is one output, and it has a size."""

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False


class Usage(NamedTuple):
    """What a container uses: bytes of memory without the page cache that can be given back, seconds of CPU time so far, and
    processes; and what these are made of, as far as the engine tells.
    """

    memory: int = 0
    cpu: float = 0.0
    processes: int = 0
    whole: int = 0
    """Bytes of memory with all of the page cache."""
    rss: int = 0
    cache: int = 0
    faults: int = 0
    major_faults: int = 0
    user: float = 0.0
    system: float = 0.0
    """Seconds of CPU time in the program and in the kernel."""
    periods: int = 0
    throttled_periods: int = 0
    throttled: float = 0.0
    """Seconds for which its CPU limit kept it waiting."""
    read: int = 0
    written: int = 0
    """Bytes from and to disks."""


class Places(NamedTuple):
    """Where this machine keeps what a container writes by itself: the folder of its own layer, and its log, beside which rotated
    ones stand. "" where the engine does not say.
    """

    layer: str = ""
    log: str = ""


class Session(Protocol):
    """A process that one talks with: a container's own, or a command in it."""

    def output(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """(1: output, 2: errors; bytes) as they come, until the process has ended or closed both."""
        ...

    async def write(self, data: bytes) -> None:
        """Input. Waits while the process does not read; dropped where it has ended."""
        ...

    async def end_input(self) -> None:
        """The end of the input."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """The terminal's size in characters."""
        ...

    async def exit_code(self) -> int:
        """Of a command whose output has ended; an attached container has none."""
        ...


class Event(NamedTuple):
    """Something happened to a container: ``action`` is start, die, oom or destroy."""

    action: str
    id: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine says of itself and of its machine."""

    name: str
    version: str
    cpus: int
    memory: int
    live_restore: bool
    root: str
    operating_system: str = ""
    kernel: str = ""


class Credentials(NamedTuple):
    """What a registry asks for. Never logged."""

    username: str
    password: str


class Engine(Protocol):
    """A container engine. Safe for any number of tasks of one event loop; a hanging call holds up no other."""

    async def ping(self) -> None:
        """Returns where the engine answers."""
        ...

    async def info(self) -> EngineInfo:
        """What the engine is."""
        ...

    def keep_in(self, group: str, notes: Path) -> None:
        """Have containers from now on made in the control group of this name, so that their processes are known even where the
        engine forgets them; ``notes`` is a file for what must be known of those.
        """
        ...

    async def end_lost(self) -> Sequence[str]:
        """End the processes of containers in our control group that the engine does not count as running: it was killed while
        it started them. Returns the containers' ids; the engine may not have them any more.
        """
        ...

    async def image(self, reference: str) -> Image | None:
        """The image behind a name, digest or id, where it is on this machine."""
        ...

    async def pull(self, reference: str, credentials: Sequence[Credentials] = ()) -> None:
        """Fetch an image, trying each of ``credentials`` (none: anonymously). Raises PullError."""
        ...

    async def layers(self, reference: str) -> Sequence[str]:
        """Folders of this machine that hold an image, the uppermost first. Raises NoSuchImage; EngineError where it keeps images
        in another way.
        """
        ...

    async def import_image(self, reference: str, archive: bytes, entrypoint: Sequence[str]) -> None:
        """Make an image of a tar archive."""
        ...

    async def remove_image(self, reference: str) -> None:
        """Remove it; nothing where it is gone already. Raises EngineError where a container uses it."""
        ...

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container; returns its id. Raises NameConflict, NoSuchImage, NoSuchContainer (to join)."""
        ...

    async def start(self, container: str) -> None:
        """Start it; a running one is left alone. Raises NoSuchContainer, EngineError where it cannot be started."""
        ...

    async def stop(self, container: str, grace: float) -> None:
        """Ask it to end, and end it after ``grace`` seconds. Returns when it has ended. Raises NoSuchContainer."""
        ...

    async def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """Send a signal; one that has ended already is left alone. Raises NoSuchContainer."""
        ...

    async def remove(self, container: str) -> None:
        """End and remove it, with its anonymous volumes; nothing where it is gone already."""
        ...

    async def update(self, container: str, limits: Limits) -> None:
        """Give a running container other limits. Raises NoSuchContainer, EngineError."""
        ...

    async def inspect(self, container: str) -> Container:
        """Raises NoSuchContainer."""
        ...

    async def list(self, labels: Mapping[str, str]) -> Sequence[Summary]:
        """All containers, ended ones too, that carry all of ``labels``."""
        ...

    async def wait(self, container: str) -> int:
        """The exit code, once it has ended. Raises NoSuchContainer."""
        ...

    async def exec(self, container: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command in a container. Raises TimeoutError (for the command, not for an engine that hangs), NoSuchContainer,
        EngineError where it cannot be run.
        """
        ...

    def logs(self, container: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """Output of both streams in order, in chunks that may end within a line. Raises NoSuchContainer."""
        ...

    def attach(self, container: str, options: SessionOptions) -> AbstractAsyncContextManager[Session]:
        """Talk with a container's process. Raises NoSuchContainer, EngineError where it does not run."""
        ...

    def command(
        self, container: str, command: Sequence[str], options: SessionOptions
    ) -> AbstractAsyncContextManager[Session]:
        """Run a command in a container and talk with it; what still runs at the end of the context is hung up.

        Raises NoSuchContainer, EngineError where the container does not run.
        """
        ...

    async def usage(self, container: str) -> Usage:
        """What it uses now; nothing where it does not run. Raises NoSuchContainer."""
        ...

    async def places(self, container: str) -> Places:
        """Where its own files are. Raises NoSuchContainer."""
        ...

    def events(self, labels: Mapping[str, str]) -> AsyncGenerator[Event | None, None]:
        """Events of containers that carry ``labels``, from now on: a first None says that nothing from here on is missed.
        Ends when the engine ends the stream.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
