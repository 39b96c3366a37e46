"""An API server with the real authorizer, its admissions and the default roles. Everybody logs in by saying who they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from moorage.api.config import ApiConfig
from moorage.api.contracts import Identity
from moorage_tenants.authorisation.defaults import brought_up_to_date
from moorage_tenants.authorisation.parts import AccessParts, open_access
from moorage_tenants.tenancy import TenancyAdmission
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates

AUTHENTICATED = "system:authenticated"


class TrustingAuthenticator:
    """``Bearer NAME+GROUP+GROUP`` is user NAME in those groups; ``admin-token`` is an administrator. Never for production."""

    async def authenticate(self, authorization: str, certificate: bytes | None = None) -> Identity | None:
        """The identity that the header claims."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or not token:
            return None
        if token == "admin-token":
            return Identity("admin", frozenset({"system:masters", AUTHENTICATED}))
        name, *groups = token.split("+")
        return Identity(name, frozenset({*groups, AUTHENTICATED}))


@dataclass
class RunningAccess:
    """The server, and what decides in it."""

    api: RunningApi
    parts: AccessParts

    def as_(self, token: str) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """A session as somebody (``ann+devs``)."""
        return self.api.session(token)

    async def call(
        self,
        token: str,
        method: str,
        path: str,
        body: Any = None,
        headers: Any = None,
    ) -> tuple[int, Any]:
        """One request as somebody: status and decoded answer."""
        async with (
            self.api.session(token) as session,
            session.request(method, path, json=body, headers=headers) as answer,
        ):
            text = await answer.text()
            json = answer.content_type == "application/json"
            return answer.status, await answer.json() if json else text


Compose = Callable[[ApiConfig], Awaitable[ApiConfig]]


@asynccontextmanager
async def serve_access(database_url: str, certificates: Certificates, **overrides: Any) -> AsyncIterator[RunningAccess]:
    """A server on ``database_url``."""
    made: list[AccessParts] = []

    async def compose(config: ApiConfig) -> ApiConfig:
        parts = await open_access(config.store, config.registry)
        made.append(parts)
        return replace(
            config,
            authorizer=parts.authorizer,
            reviewer=parts.authorizer,
            admissions=(TenancyAdmission(parts.authorizer), *config.admissions, *parts.admissions),
            companions=(*config.companions, *parts.companions),
            bootstrap=(*config.bootstrap, *parts.bootstrap),
            bring_up_to_date=brought_up_to_date,
        )

    overrides.setdefault("authenticator", TrustingAuthenticator())
    async with serve_api(database_url, certificates, compose=compose, **overrides) as api:
        following = asyncio.create_task(made[0].run(), name="pod index")
        try:
            yield RunningAccess(api, made[0])
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            made[0].close()
