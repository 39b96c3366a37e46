"""The real API server with everything about secrets: endpoints, SealedSecrets, rotation loops."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from moorage.api.config import Mount
from moorage_tenants.sealed_secrets import cipher
from moorage_tenants.sealing.kek import Kek, KekSource
from moorage_tenants.secret_service import routes
from moorage_tenants.secret_service.guard import Guard
from moorage_tenants.secret_service.parts import SecretParts, run
from moorage_tenants.secret_service.rotating import Intervals
from tests.support.apiserver import KEK, Policies, RunningApi, serve_api
from tests.support.certificates import Certificates

SECRETS = "/api/v1/namespaces/default/secrets"
SEALED = "/apis/secrets.moorage.io/v1/namespaces/default/sealedsecrets"
ROTATIONS = "/apis/secrets.moorage.io/v1/keyrotations"
OWN = "/apis/moorage.io/v1/namespaces/default"


class Late:
    """Mounted before it is made, because it is made of what it is mounted in."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@dataclass
class SecretServer:
    """A running server."""

    api: RunningApi
    parts: SecretParts

    async def seal(self, name: str, namespace: str = "default", **values: str) -> dict[str, Any]:
        """A SealedSecret, sealed as a client does: with the published key."""
        async with self.api.client.get(routes.SEALING_KEYS) as answer:
            (key, *_) = (await answer.json())["items"]
        return sealed_secret(base64.b64decode(key["publicKey"]), name, namespace, values)


def sealed_secret(public: bytes, name: str, namespace: str, values: Mapping[str, str]) -> dict[str, Any]:
    """A SealedSecret of ``values``."""
    sealed = {
        key: cipher.seal(public, value.encode(), namespace=namespace, name=name, key=key)
        for key, value in values.items()
    }
    return {
        "apiVersion": "secrets.moorage.io/v1",
        "kind": "SealedSecret",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"encryptedData": sealed},
    }


@asynccontextmanager
async def serve_secrets(
    database_url: str,
    certificates: Certificates,
    *,
    source: KekSource | None = None,
    server: str = "one",
    policies: Policies | None = None,
    loops: bool = True,
    **overrides: Any,
) -> AsyncIterator[SecretServer]:
    """A server whose rotation loops look ten times a second. Without ``loops`` nothing is done in the background."""
    parts = SecretParts(source or Kek([KEK]))
    late = Late()
    rules = policies or Policies()
    mounts = [Mount(prefix, late, impersonates=True) for prefix in (routes.SEALING_KEYS, routes.OF_NAMESPACES)]
    async with serve_api(
        database_url,
        certificates,
        rules,
        server=server,
        sealer=parts.make_sealer,
        companions=parts.companions,
        mounts=mounts,
        metrics=[parts.metrics],
        **overrides,
    ) as api:
        await parts.check()
        guard = Guard(rules.authenticator, rules.authorizer, rules.auditor)
        late.app = parts.mounts(guard, api.store, api.store.secret_versions, api.app.transactor)[0].app
        store, quick = api.store, Intervals(look=0.1, settle=0.5)
        working = []
        if loops:
            made = parts.loops(store, store.keys, store.resealing, api.app.transactor, server, quick)
            working.append(asyncio.create_task(run(made, lambda: not api.app.startup.waiting_for)))
        try:
            yield SecretServer(api, parts)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
