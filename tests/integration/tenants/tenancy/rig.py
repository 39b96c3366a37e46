"""A server on which everybody may everything but administer tenants, so that what is refused was refused by admission alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from moorage.api.contracts import Attributes, Decision, Identity
from moorage.client.api import ApiClient
from moorage.controllers.context import Options
from moorage.controllers.run import run as run_controllers
from moorage.resources.builtin import builtin_registry
from moorage.resources.tenancy import MANAGE
from moorage_tenants.limits.charging import ObjectCharger
from moorage_tenants.tenancy import NamespaceFurniture, TenancyAdmission
from tests.support.apiserver import Policies, RunningApi, serve_api
from tests.support.certificates import Certificates
from tests.support.identities import ADMIN, TestAuthenticator

NAMESPACES = "/api/v1/namespaces"
TENANTS = "/apis/tenancy.moorage.io/v1/tenants"
AUTHENTICATED = frozenset({"system:authenticated"})
PEOPLE = {
    "admin-token": ADMIN,
    "alice": Identity("alice", AUTHENTICATED),
    "gina": Identity("gina", AUTHENTICATED | {"blue-team"}),
    "eve": Identity("eve", AUTHENTICATED),
    "robot": Identity(
        "system:serviceaccount:blue-ci:robot",
        AUTHENTICATED | {"system:serviceaccounts", "system:serviceaccounts:blue-ci"},
    ),
    "controllers": Identity("system:controllers", frozenset({"system:controllers", "system:authenticated"})),
}


class Permissive:
    """Everybody may everything, but only masters administer tenants."""

    async def authorise(self, attributes: Attributes) -> Decision:
        """Allow all but ``manage``."""
        if attributes.verb == MANAGE:
            return Decision("system:masters" in attributes.identity.groups, "no")
        return Decision(True)


@dataclass
class Rig:
    """The server, and a session for each of PEOPLE."""

    api: RunningApi
    sessions: dict[str, aiohttp.ClientSession] = field(default_factory=dict)

    async def send(
        self, who: str, method: str, path: str, body: Any = None, content: str = "application/json"
    ) -> tuple[int, dict[str, Any], list[str]]:
        """(code, document, warnings)."""
        session = self.sessions[who]
        async with session.request(method, path, json=body, headers={"Content-Type": content}) as answer:
            document: dict[str, Any] = await answer.json()
            return answer.status, document, answer.headers.getall("Warning", [])

    async def ok(self, who: str, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """The document of a success."""
        code, document, _warnings = await self.send(who, method, path, body, content)
        assert code < 300, document.get("message", document)
        return document

    async def refused(
        self, who: str, method: str, path: str, body: Any = None, content: str = "application/json", code: int = 403
    ) -> str:
        """The message of a refusal."""
        found, document, _warnings = await self.send(who, method, path, body, content)
        assert found == code, f"{found}: {document}"
        message: str = document["message"]
        return message

    async def tenant(self, name: str, **spec: Any) -> dict[str, Any]:
        """Make a tenant; alice owns it unless ``owners`` say otherwise."""
        spec.setdefault("owners", [{"kind": "User", "name": "alice"}])
        document = {
            "apiVersion": "tenancy.moorage.io/v1",
            "kind": "Tenant",
            "metadata": {"name": name},
            "spec": spec,
        }
        made: dict[str, Any] = await self.ok("admin-token", "POST", TENANTS, document)
        return made

    async def change(self, tenant: str, **spec: Any) -> None:
        """Merge into a Tenant's spec, as administrator."""
        await self.ok("admin-token", "PATCH", f"{TENANTS}/{tenant}", {"spec": spec}, "application/merge-patch+json")

    async def namespace(self, name: str, who: str = "alice", **metadata: Any) -> dict[str, Any]:
        """Make a namespace."""
        made: dict[str, Any] = await self.ok(who, "POST", NAMESPACES, namespace(name, **metadata))
        return made


def namespace(name: str, **metadata: Any) -> dict[str, Any]:
    """A Namespace document."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


def pod(name: str = "web", image: str = "registry.example.com/blue/web:1", **spec: Any) -> dict[str, Any]:
    """A Pod of one container."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "web", "image": image}], **spec},
    }


@asynccontextmanager
async def running(database_url: str, certificates: Certificates) -> AsyncIterator[Rig]:
    """A server with the tenancy admission and real charges."""
    authorizer = Permissive()
    registry = builtin_registry()
    overrides: dict[str, Any] = {
        "registry": registry,
        "authorizer": authorizer,
        "charger": ObjectCharger(),
        "admissions": (TenancyAdmission(authorizer),),
        "companions": (NamespaceFurniture(registry),),
    }
    policies = Policies(authenticator=TestAuthenticator(dict(PEOPLE)))
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(serve_api(database_url, certificates, policies, **overrides))
        rig = Rig(api)
        for token in PEOPLE:
            rig.sessions[token] = await stack.enter_async_context(api.session(token))
        yield rig


@asynccontextmanager
async def controlled(rig: Rig) -> AsyncIterator[None]:
    """Controllers beside the server."""
    async with ApiClient(rig.api.url, token="controllers", ca_file=rig.api.ca_file) as client:
        ready = asyncio.Event()
        task = asyncio.create_task(run_controllers(client, Options(), ready=ready.set))
        await asyncio.wait_for(ready.wait(), 30)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
