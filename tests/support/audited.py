"""An API server with the real authorizer, auditor and audit endpoints. Everybody logs in by saying who they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from moorage.api.config import ApiConfig
from moorage.store import PostgresStore
from moorage_tenants.audit import AuditEndpoints, TableAuditor, mounts
from moorage_tenants.authorisation.defaults import brought_up_to_date
from moorage_tenants.authorisation.parts import AccessParts, open_access
from moorage_tenants.secret_service.guard import Guard
from tests.support.access import RunningAccess, TrustingAuthenticator
from tests.support.apiserver import serve_api
from tests.support.certificates import Certificates


@asynccontextmanager
async def audited(database_url: str, certificates: Certificates) -> AsyncIterator[RunningAccess]:
    """A server with the real authorizer, auditor and audit endpoints."""
    made: list[AccessParts] = []

    async def compose(config: ApiConfig) -> ApiConfig:
        parts = await open_access(config.store, config.registry)
        made.append(parts)
        assert isinstance(config.store, PostgresStore)
        auditor = TableAuditor(config.store.audit_chain)
        guard = Guard(config.authenticator, parts.authorizer, auditor)
        return replace(
            config,
            authorizer=parts.authorizer,
            auditor=auditor,
            admissions=(*config.admissions, *parts.admissions),
            companions=(*config.companions, *parts.companions),
            bootstrap=(*config.bootstrap, *parts.bootstrap),
            bring_up_to_date=brought_up_to_date,
            mounts=mounts(AuditEndpoints(guard, config.store.audit, config.store)),
        )

    async with serve_api(database_url, certificates, compose=compose, authenticator=TrustingAuthenticator()) as api:
        following = asyncio.create_task(made[0].run(), name="pod index")
        try:
            yield RunningAccess(api, made[0])
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            made[0].close()
