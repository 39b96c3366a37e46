"""A real installation for tests: ``moorage up --detach`` in a directory and on a port of its own, removed at the end."""

from __future__ import annotations

import itertools
import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl, Result
from tests.support.leftovers import links_of, marked_folder, still_there

MOORAGE = str(Path(sys.executable).with_name("moorage"))
_numbers = itertools.count(1)


def free_port() -> int:
    """A TCP port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def moorage(*arguments: str, stdin: str = "", **environment: str) -> Result:
    """Run the command ``moorage``, whatever becomes of it."""
    done = subprocess.run(
        [MOORAGE, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**os.environ, **environment},
    )
    return Result(done.returncode, done.stdout.rstrip("\n"), done.stderr.rstrip("\n"))


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation that was started at least once."""

    data_dir: Path
    port: int

    @property
    def url(self) -> str:
        """The API's address."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def static_pods(self) -> Path:
        """The folder of the pods that the session's node runs by itself."""
        return self.data_dir.parent / "static"

    def run(self, command: str, *arguments: str, stdin: str = "", **environment: str) -> Result:
        """``moorage COMMAND --data-dir ...``; may fail."""
        return moorage(*command.split(), "--data-dir", str(self.data_dir), *arguments, stdin=stdin, **environment)

    def do(self, command: str, *arguments: str, stdin: str = "") -> str:
        """The same; fails the test where it fails."""
        result = self.run(command, *arguments, stdin=stdin)
        assert result.code == 0, f"moorage {command}: exit code {result.code}\n{result.out}\n{result.err}\n{self.log()}"
        return result.out

    def up(self, *arguments: str) -> str:
        """Start it in the background."""
        return self.do("up", "--listen", f"127.0.0.1:{self.port}", "--detach", *arguments)

    def log(self, lines: int = 25) -> str:
        """The last lines of the log."""
        path = self.data_dir / "moorage.log"
        return "\n".join(path.read_text().splitlines()[-lines:]) if path.exists() else "no log"

    def kubectl(self, namespace: str = "", kubeconfig: Path | None = None) -> Kubectl:
        """kubectl as administrator, or with another kubeconfig."""
        home = self.data_dir / "kubectl-home"
        home.mkdir(exist_ok=True)
        return Kubectl(kubeconfig or self.data_dir / "kubeconfig", home, namespace)

    def token(self, name: str = "admin") -> str:
        """A bearer token of the installation."""
        return (self.data_dir / "tokens" / name).read_text().strip()

    def request(self, method: str, path: str, token: str, body: bytes | None = None) -> tuple[int, str]:
        """(code, body) of one HTTPS request as JSON."""
        request = urllib.request.Request(self.url + path, body, method=method)
        request.add_header("Authorization", f"Bearer {token}")
        request.add_header("Content-Type", "application/json")
        tls = ssl.create_default_context(cafile=str(self.data_dir / "pki" / "ca.crt"))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def _remove(folder: Path) -> None:
    moorage("remove", "--yes", "--data-dir", str(folder / "data"))


@contextmanager
def new_installation() -> Iterator[Installation]:
    """Room for an installation; whatever was started in it is removed at the end."""
    with marked_folder("moorage-test-", _remove) as folder:
        # PostgreSQL may run as another user, who must be able to walk there.
        folder.chmod(0o755)
        made = Installation(folder / "data", free_port())
        try:
            yield made
        finally:
            links = links_of(made.data_dir)
            removed = made.run("remove", "--yes")
            assert removed.code == 0, removed.err
            assert still_there(links) == []


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """The session's installation, with the node ``test-node`` on the real Docker Engine."""
    with new_installation() as made:
        made.static_pods.mkdir()
        made.up("--node", "test-node", "--pod-manifest-path", str(made.static_pods))
        yield made


@pytest.fixture
def namespace(installation: Installation, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace, named after the test."""
    slug = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    name = f"{slug}-{next(_numbers)}"
    kubectl = installation.kubectl()
    kubectl("apply", "-f", "-", stdin=f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(installation: Installation, namespace: str) -> Kubectl:
    """kubectl as administrator in a fresh namespace."""
    return installation.kubectl(namespace)
