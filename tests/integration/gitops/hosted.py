"""The Git host as it is mounted: in the real API server, over TLS, on a real database."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from moorage.api.config import ApiConfig, Mount
from moorage.api.contracts import Identity
from moorage.resources.builtin import builtin_registry
from moorage_gitops.host.app import build_git_app
from moorage_gitops.host.config import GitHostConfig, no_step
from tests.support.apiserver import Policies, RunningApi, serve_api
from tests.support.certificates import Certificates
from tests.support.identities import TestAuthenticator


class GitAuthenticator(TestAuthenticator):
    """Knows basic authentication too."""

    async def authenticate(self, authorization: str, certificate: bytes | None = None) -> Identity | None:
        scheme, _, value = authorization.partition(" ")
        if scheme == "Basic":
            authorization = f"Bearer {base64.b64decode(value).decode().partition(':')[2]}"
        return await super().authenticate(authorization)


@dataclass
class Late:
    """Mounted before it is made, because it is made of what it is mounted in."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@dataclass
class Hosted:
    """A running server with its Git host."""

    api: RunningApi
    ca: Path
    steps: list[str] = field(default_factory=list)

    def url(self, repository: str = "shop/web", token: str = "admin-token") -> str:
        """The URL of a repository, with a token in it."""
        return f"{self.api.url.replace('https://', f'https://git:{token}@')}/git/{repository}.git"


@asynccontextmanager
async def serve_git(
    database_url: str,
    certificates: Certificates,
    directory: Path,
    on_step: Callable[[str], Awaitable[None]] = no_step,
    compose: Callable[[ApiConfig], Awaitable[ApiConfig]] | None = None,
) -> AsyncIterator[Hosted]:
    """A server on ``database_url`` whose repositories are in ``directory``. ``compose`` as in ``serve_api``."""
    late = Late()
    policies = Policies(authenticator=GitAuthenticator())
    async with serve_api(database_url, certificates, policies, compose=compose, mounts=[Mount("/git", late)]) as api:
        late.app = build_git_app(
            GitHostConfig(
                directory=directory,
                registry=builtin_registry(),
                store=api.store,
                transactor=api.app.transactor,
                authenticator=policies.authenticator,
                authorizer=policies.authorizer,
                auditor=api.app.service.config.auditor,
                on_step=on_step,
            )
        )
        yield Hosted(api, certificates.ca)


async def _main(database_url: str, pki: Path, directory: Path, fatal_step: str) -> None:
    async def on_step(step: str) -> None:
        if step == fatal_step:
            os.kill(os.getpid(), signal.SIGKILL)

    certificates = Certificates(pki / "ca.crt", pki / "server.crt", pki / "server.key")
    async with serve_git(database_url, certificates, directory, on_step) as hosted:
        sys.stdout.write(f"{hosted.api.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
