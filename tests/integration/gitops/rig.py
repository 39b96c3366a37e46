"""A Git host on a real HTTP port over the store in memory, and a Git client as users have it."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from moorage.api.config import ApiConfig
from moorage.api.contracts import Attributes, Decision, Identity
from moorage.api.service import Service
from moorage.api.transactions.engine import Engine
from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import Document, ResourceKey
from moorage_gitops.host.app import GitApp, build_git_app
from moorage_gitops.host.config import GitHostConfig, GitLimits
from moorage_gitops.host.manifests.limits import ManifestLimits
from tests.integration.gitops.memory import MemoryStore
from tests.support.apiserver import NoTunnels
from tests.support.identities import FreeCharger
from tests.support.wait import until

TOKENS = {
    "admin-token": Identity("admin", frozenset({"system:masters"})),
    "shop-token": Identity("team:shop", frozenset({"teams:shop"})),
    "other-token": Identity("team:other", frozenset({"teams:other"})),
}


class Tokens:
    """Authenticator: the table above, by bearer token or by the password of basic authentication."""

    async def authenticate(self, authorization: str, certificate: bytes | None = None) -> Identity | None:
        scheme, _, value = authorization.partition(" ")
        if scheme == "Basic":
            value = base64.b64decode(value).decode().partition(":")[2]
        return TOKENS.get(value)


class Teams:
    """Authorizer: an administrator may everything, a team everything in the namespace of its name."""

    async def authorise(self, attributes: Attributes) -> Decision:
        groups = attributes.identity.groups
        if "system:masters" in groups or f"teams:{attributes.namespace}" in groups:
            return Decision(True)
        where = f'in namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
        what = f'User "{attributes.identity.name}" cannot {attributes.verb} resource "{attributes.resource}"'
        return Decision(False, f"{what} {where}")


class Records:
    """Auditor that remembers."""

    def __init__(self) -> None:
        self.records: list[tuple[Attributes, Decision]] = []

    def record(self, attributes: Attributes, decision: Decision, outcome: Mapping[str, Any]) -> None:
        self.records.append((attributes, decision))


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass
class Rig:
    """The host under test. ``steps`` are those that pushes have gone through."""

    directory: Path
    limits: GitLimits = field(default_factory=lambda: GitLimits(seconds=60, wait_seconds=20))
    manifest_limits: ManifestLimits = field(default_factory=ManifestLimits)
    store: MemoryStore = field(default_factory=MemoryStore)
    steps: list[str] = field(default_factory=list)
    records: Records = field(default_factory=Records)
    port: int = 0

    async def start(self) -> None:
        """Serve until ``stop``."""
        service = Service(
            ApiConfig(
                registry=builtin_registry(),
                store=self.store,
                authenticator=Tokens(),
                authorizer=Teams(),
                charger=FreeCharger(),
                auditor=self.records,
                tunnels=NoTunnels(),
            )
        )
        self.engine = Engine(service)
        self.app: GitApp = build_git_app(
            GitHostConfig(
                directory=self.directory / "git",
                registry=service.registry,
                store=self.store,
                transactor=self.engine,
                authenticator=Tokens(),
                authorizer=Teams(),
                auditor=self.records,
                limits=self.limits,
                manifest_limits=self.manifest_limits,
                on_step=self._step,
            )
        )
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(self.app, lifespan="off", log_config=None))
        self._serving = asyncio.create_task(self._server.serve([listener]))
        await until(lambda: self._server.started)

    async def stop(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        await self._serving

    async def _step(self, step: str) -> None:
        self.steps.append(step)

    def url(self, repository: str = "shop/web", token: str = "admin-token") -> str:
        """The URL of a repository, with a token in it."""
        return f"http://git:{token}@127.0.0.1:{self.port}/git/{repository}.git"

    def get(self, group: str, resource: str, namespace: str, name: str) -> Document | None:
        """An object of the store."""
        entry = self.store.cache_of(ResourceKey(group, resource)).get(namespace, name)
        return orjson.loads(entry.data) if entry else None

    def names(self, group: str, resource: str) -> list[str]:
        """The names of all objects of a resource."""
        return [entry.key.name for entry in self.store.cache_of(ResourceKey(group, resource)).entries()]


class Work:
    """A clone on the user's side."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def git(
        self, *arguments: str, stdin: bytes = b"", check: bool = True, env: Mapping[str, str] | None = None
    ) -> Ran:
        """Run Git as a user would, without that user's configuration."""
        return await run(["git", *arguments], self.directory, stdin=stdin, check=check, env=env)

    async def init(self, branch: str = "main") -> Work:
        """Make it a repository."""
        self.directory.mkdir(parents=True, exist_ok=True)
        await self.git("init", "-q", "-b", branch)
        return self

    def write(self, path: str, text: str | bytes) -> None:
        """Write a file."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)

    async def commit(self, files: Mapping[str, str | bytes] | None = None, message: str = "change") -> str:
        """Write files, commit everything, return the commit's id."""
        for path, text in (files or {}).items():
            self.write(path, text)
        await self.git("add", "-A")
        await self.git("commit", "-q", "--allow-empty", "-m", message)
        return (await self.git("rev-parse", "HEAD")).out.strip()

    async def import_files(self, files: Mapping[str, str]) -> None:
        """Commit many files at once, without touching the working directory."""
        stream = "commit refs/heads/main\ncommitter me <me@example.org> 1 +0000\ndata 4\nmany\n"
        stream += "".join(
            f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n" for path, text in files.items()
        )
        await self.git("fast-import", "--quiet", stdin=stream.encode())

    async def push(self, url: str, *options: str, refspec: str = "HEAD:main", check: bool = False) -> Ran:
        """Push."""
        return await self.git("push", *options, url, refspec, check=check)


async def run(
    command: Sequence[str],
    directory: Path,
    *,
    stdin: bytes = b"",
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> Ran:
    """Run a command to its end."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        **{
            f"GIT_{who}_{what}": f"{what.lower()}@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        **(env or {}),
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=variables,
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate(stdin or None)
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    ran = Ran(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))
    assert not check or ran.code == 0, f"{' '.join(command)}: {ran.err}"
    return ran
