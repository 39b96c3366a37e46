"""Running Git: spawn, bound, collect, kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from moorage_gitops.host.config import GitLimits
from moorage_gitops.host.git.environment import environment, settings

_READ = 1 << 16
_GRACE_SECONDS = 2.0


class GitError(Exception):
    """A Git process failed. ``code`` is its exit status, ``stderr`` what it said."""

    def __init__(self, command: str, code: int, stderr: str) -> None:
        super().__init__(f"git {command} failed with {code}: {stderr.strip() or 'no message'}")
        self.code = code
        self.stderr = stderr


class OutputTooLarge(Exception):
    """A Git process said more than was asked for and was stopped."""


class Git:
    """Starts Git processes. ``home`` is an empty directory, ``hooks`` holds the host's hooks and nothing else."""

    def __init__(self, home: Path, hooks: Path, limits: GitLimits) -> None:
        self._home = home
        self._limits = limits
        self._settings = settings(hooks, limits)

    @asynccontextmanager
    async def spawn(
        self,
        repository: Path,
        arguments: Sequence[str],
        *,
        extra: Mapping[str, str] | None = None,
        fds: Sequence[int] = (),
    ) -> AsyncIterator[Process]:
        """A running ``git ARGUMENTS`` in ``repository``, with its whole process group ended at exit of the block."""
        process = await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=repository,
            env=environment(self._home, self._settings, {"GIT_DIR": str(repository), **(extra or {})}),
            pass_fds=tuple(fds),
            start_new_session=True,
            limit=1 << 20,
        )
        # Set before the process is fed anything; its children inherit it.
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (self._limits.memory, self._limits.memory))
        try:
            yield process
        finally:
            await asyncio.shield(_end(process))

    async def run(
        self,
        repository: Path,
        *arguments: str,
        stdin: bytes = b"",
        extra: Mapping[str, str] | None = None,
        limit: int = 64 << 20,
    ) -> bytes:
        """The output of a Git command. Raises GitError where it fails and OutputTooLarge past ``limit`` bytes."""
        async with self.spawn(repository, arguments, extra=extra) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            feeding = asyncio.ensure_future(_feed(process.stdin, stdin))
            complaints = asyncio.ensure_future(collect(process.stderr))
            try:
                output = bytearray()
                while chunk := await process.stdout.read(_READ):
                    output += chunk
                    if len(output) > limit:
                        raise OutputTooLarge(arguments[0])
                await feeding
                code = await process.wait()
                if code:
                    raise GitError(arguments[0], code, (await complaints).decode(errors="replace"))
                return bytes(output)
            finally:
                for task in (feeding, complaints):
                    task.cancel()
                await asyncio.gather(feeding, complaints, return_exceptions=True)

    async def succeeds(self, repository: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> bool:
        """Whether a Git command that answers by its exit status (0 or 1) says yes. Raises GitError for any other status."""
        try:
            await self.run(repository, *arguments, extra=extra)
        except GitError as error:
            if error.code != 1:
                raise
            return False
        return True


async def _end(process: Process) -> None:
    """End a process and all that it started. On SIGTERM Git drops its quarantine and its locks; it has a moment for that."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _GRACE_SECONDS)


async def collect(stream: asyncio.StreamReader, keep: int = _READ) -> bytes:
    """The first ``keep`` bytes of a stream, which is read to its end so that its writer is never held up."""
    kept = bytearray()
    while chunk := await stream.read(_READ):
        kept += chunk[: keep - len(kept)]
    return bytes(kept)


async def _feed(stdin: asyncio.StreamWriter, data: bytes) -> None:
    # A process that needs no more input may close its end first.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        # uvloop raises RuntimeError for a write after the other end has closed; nothing is awaited between the two.
        if data and not stdin.is_closing():
            stdin.write(data)
            await stdin.drain()
        stdin.close()
        await stdin.wait_closed()
