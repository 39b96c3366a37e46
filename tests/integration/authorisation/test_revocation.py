"""What is taken away through one server ends at every other, at once: requests, open watches, followed logs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.integration.authorisation.documents import RBAC, binding, collection, role, rule, user
from tests.support.access import RunningAccess, serve_access
from tests.support.certificates import Certificates
from tests.support.wait import until

ADMIN = "admin-token"
SECRETS = "/api/v1/namespaces/blue/secrets"
TENANT = "/apis/tenancy.moorage.io/v1/tenants/blue"
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass
class Pair:
    """Two servers on one database: what is done through ``here`` is asked through ``there``."""

    here: RunningAccess
    there: RunningAccess


@pytest.fixture
async def pair(database_url: str, certificates: Certificates) -> AsyncIterator[Pair]:
    """carl and rosa may read Secrets in the namespace blue by a binding, mia as a member of the tenant; ann owns it."""
    async with (
        serve_access(database_url, certificates, server="here") as here,
        serve_access(database_url, certificates, server="there") as there,
    ):
        people = [("ann", "owners", {}), ("mia", "members", {"role": "edit"})]
        spec = {field: [{"kind": "User", "name": name, **more}] for name, field, more in people}
        tenant = {"apiVersion": "tenancy.moorage.io/v1", "kind": "Tenant", "metadata": {"name": "blue"}, "spec": spec}
        labels = {"tenancy.moorage.io/tenant": "blue"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "blue", "labels": labels}}
        documents = [tenant, namespace]
        for who in ("carl", "rosa"):
            documents.append(role(who, rule("get list watch", "core", "secrets"), namespace="blue"))
            documents.append(binding(who, f"Role/{who}", user(who), namespace="blue"))
        for document in documents:
            assert (await here.call(ADMIN, "POST", collection(document), document))[0] == 201
        yield Pair(here, there)


@dataclass
class Watching:
    """An open watch; ``events`` grows, ``ended`` is set when the server has closed it."""

    events: list[dict[str, Any]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def names(self) -> set[str]:
        """What it has seen."""
        return {event["object"]["metadata"].get("name", "") for event in self.events}

    async def run(self, session: aiohttp.ClientSession, path: str, opened: asyncio.Event) -> None:
        async with session.get(f"{path}?watch=1") as answer:
            assert answer.status == 200, await answer.text()
            opened.set()
            async for line in answer.content:
                self.events.append(json.loads(line))
        self.ended.set()


@contextlib.asynccontextmanager
async def watch(access: RunningAccess, who: str, path: str = SECRETS) -> AsyncIterator[Watching]:
    watching, opened = Watching(), asyncio.Event()
    async with access.as_(who) as session:
        task = asyncio.create_task(watching.run(session, path, opened))
        try:
            await asyncio.wait_for(opened.wait(), 30)
            yield watching
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def take_binding(pair: Pair) -> None:
    code, _ = await pair.here.call(ADMIN, "DELETE", f"{RBAC}/namespaces/blue/rolebindings/carl")
    assert code == 200


async def take_role(pair: Pair) -> None:
    empty = role("rosa", namespace="blue")
    assert (await pair.here.call(ADMIN, "PUT", f"{RBAC}/namespaces/blue/roles/rosa", empty))[0] == 200


async def take_member(pair: Pair) -> None:
    code, _ = await pair.here.call(ADMIN, "PATCH", TENANT, {"spec": {"members": []}}, MERGE)
    assert code == 200


async def lock_tenant(pair: Pair) -> None:
    code, answer = await pair.here.call(ADMIN, "PATCH", TENANT, {"spec": {"suspended": True}}, MERGE)
    assert code == 200, answer


TAKEN = {"carl": take_binding, "rosa": take_role, "mia": take_member, "ann": lock_tenant}
"""Who loses what they have, and how; in this order."""


async def write_secret(pair: Pair, name: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    code, answer = await pair.here.call(ADMIN, "POST", SECRETS, secret)
    assert code == 201, answer


async def test_what_is_taken_away_ends_everywhere(pair: Pair) -> None:
    async with contextlib.AsyncExitStack() as stack:
        watches = {who: await stack.enter_async_context(watch(pair.there, who)) for who in (*TAKEN, ADMIN)}
        for who, take in TAKEN.items():
            theirs = watches.pop(who)
            assert (await pair.there.call(who, "GET", SECRETS))[0] == 200
            await take(pair)

            async def refused(who: str = who) -> bool:
                return (await pair.there.call(who, "GET", SECRETS))[0] == 403

            await until(refused, every=0.01)
            await until(theirs.ended.is_set)
            last = theirs.events[-1]
            assert (last["type"], last["object"]["code"], last["object"]["reason"]) == ("ERROR", 403, "Forbidden")
            assert "the right to this was taken away" in last["object"]["message"]
            # Whoever keeps the right keeps the watch, and sees what comes after.
            await write_secret(pair, f"after-{who}")
            for other in watches.values():

                def told(other: Watching = other, who: str = who) -> bool:
                    return f"after-{who}" in other.names

                await until(told)
            assert f"after-{who}" not in theirs.names


async def test_changes_that_take_nothing_end_nothing(pair: Pair) -> None:
    """A right that comes from two places stays while one of them does."""
    second = binding("carl-too", "ClusterRole/edit", user("carl"), namespace="blue")
    assert (await pair.here.call(ADMIN, "POST", collection(second), second))[0] == 201
    async with watch(pair.there, "carl") as theirs:
        await take_binding(pair)
        await take_member(pair)
        await write_secret(pair, "later")
        await until(lambda: "later" in theirs.names)
        await pair.there.api.app.service.standings.look()
        assert not theirs.ended.is_set()
