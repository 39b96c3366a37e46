"""The real kubectl, with a cache and a home of its own, so that neither the user's files nor other tests' are touched."""

from __future__ import annotations

import fcntl
import json
import os
import select
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "bin"


def tool(name: str) -> str:
    """The path of ``kubectl`` or ``helm`` as ``make tools`` fetched it."""
    path = Path(os.environ.get(f"MOORAGE_{name.upper()}", TOOLS / name))
    assert path.exists(), f"{path} does not exist; fetch it with: make tools"
    return str(path)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left. ``out`` and ``err`` are texts without their last line end."""

    code: int
    out: str
    err: str


class Terminal:
    """A program on a terminal: ``type`` into it, look at what it has ``shown``."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._seen = b""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._descriptor, text.encode())

    def shown(self, text: str) -> bool:
        """Whether ``text`` has appeared."""
        while select.select([self._descriptor], [], [], 0)[0]:
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:  # EIO: the program has ended
                break
            if not data:
                break
            self._seen += data
        assert text.encode() in self._seen, f"the terminal shows {self._seen!r}"
        return True


@dataclass(frozen=True, slots=True)
class Kubectl:
    """``kubectl`` with one kubeconfig, in one namespace ("" for the kubeconfig's)."""

    kubeconfig: Path
    home: Path
    namespace: str = ""

    def within(self, namespace: str) -> Kubectl:
        """The same in another namespace."""
        return replace(self, namespace=namespace)

    def __call__(self, *arguments: str, stdin: str = "", timeout: float = 90) -> str:
        """Run it; its output. Fails the test where it fails."""
        result = self.attempt(*arguments, stdin=stdin, timeout=timeout)
        assert result.code == 0, f"kubectl {' '.join(arguments)}: exit code {result.code}\n{result.out}\n{result.err}"
        return result.out

    def attempt(self, *arguments: str, stdin: str = "", timeout: float = 90, **environment: str) -> Result:
        """Run it, whatever becomes of it."""
        done = subprocess.run(
            self._command(arguments),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env={**self._environment(), **environment},
        )
        return Result(done.returncode, done.stdout.rstrip("\n"), done.stderr.rstrip("\n"))

    def json(self, *arguments: str) -> dict[str, Any]:
        """Run it with ``-o json``; the decoded output."""
        document: dict[str, Any] = json.loads(self(*arguments, "-o", "json"))
        return document

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run it beside the test; ended with the context."""
        process = subprocess.Popen(
            self._command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment(),
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def on_terminal(self, *arguments: str, rows: int, columns: int) -> Iterator[Terminal]:
        """Run it on a terminal of this size; ended with the context."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen(
            self._command(arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=self._environment()
        )
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        where = ["--namespace", self.namespace] if self.namespace else []
        return [tool("kubectl"), "--kubeconfig", str(self.kubeconfig), *where, *arguments]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECACHEDIR": str(self.home / "cache")}
