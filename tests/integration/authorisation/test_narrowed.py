"""Who may not list all namespaces or tenants sees those that they may get, and nothing of the others by any way."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.integration.authorisation.documents import RBAC, binding, collection, user
from tests.support.access import RunningAccess
from tests.support.wait import until

ADMIN = "admin-token"
NAMESPACES = "/api/v1/namespaces"
TENANTS = "/apis/tenancy.moorage.io/v1/tenants"
TABLE = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}


def tenant(name: str, owner: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tenancy.moorage.io/v1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {"owners": [{"kind": "User", "name": owner}], **spec},
    }


def namespace(name: str, of: str = "") -> dict[str, Any]:
    labels = {"tenancy.moorage.io/tenant": of} if of else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


async def make(access: RunningAccess, *documents: dict[str, Any], as_: str = ADMIN) -> None:
    for document in documents:
        code, answer = await access.call(as_, "POST", collection(document), document)
        assert code == 201, answer


@pytest.fixture
async def town(access: RunningAccess) -> RunningAccess:
    """ann owns blue with two namespaces, bob owns red with one; carl may view one of blue's."""
    await make(access, tenant("blue", "ann"), tenant("red", "bob"))
    await make(access, namespace("blue-a", "blue"), namespace("blue-b", "blue"), namespace("red-a", "red"))
    await make(access, binding("carl", "ClusterRole/view", user("carl"), namespace="blue-b"))
    return access


async def names(access: RunningAccess, token: str, path: str) -> list[str]:
    code, answer = await access.call(token, "GET", path)
    assert code == 200, answer
    return [item["metadata"]["name"] for item in answer["items"]]


async def test_lists(town: RunningAccess) -> None:
    assert await names(town, "ann", NAMESPACES) == ["blue-a", "blue-b"]
    assert await names(town, "bob", NAMESPACES) == ["red-a"]
    assert await names(town, "carl", NAMESPACES) == ["blue-b"]
    assert await names(town, "eve", NAMESPACES) == []
    assert await names(town, "ann", TENANTS) == ["blue"]
    assert await names(town, "carl", TENANTS) == []
    everything = await names(town, ADMIN, NAMESPACES)
    assert {"blue-a", "red-a", "default", "kube-system"} <= set(everything)
    for query in (
        "labelSelector=tenancy.moorage.io/tenant%3Dred",
        "labelSelector=tenancy.moorage.io/tenant!%3Dblue",
        "fieldSelector=metadata.name%3Dred-a",
        "fieldSelector=status.phase%3DActive",
        "resourceVersion=0",
        "resourceVersion=1&resourceVersionMatch=NotOlderThan",
    ):
        assert set(await names(town, "ann", f"{NAMESPACES}?{query}")) <= {"blue-a", "blue-b"}, query
    # Other verbs on the collection, other ways to the objects, and other collections stay refused.
    assert (await town.call("ann", "GET", f"{NAMESPACES}/red-a"))[0] == 403
    assert (await town.call("ann", "GET", "/api/v1/nodes"))[0] == 403
    assert (await town.call("ann", "GET", "/api/v1/pods"))[0] == 403
    review = {"spec": {"resourceAttributes": {"verb": "list", "resource": "namespaces"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert (await town.call("ann", "POST", path, review))[1]["status"]["allowed"] is False


async def test_pages_and_tables(town: RunningAccess) -> None:
    code, page = await town.call("ann", "GET", f"{NAMESPACES}?limit=1")
    assert (code, [item["metadata"]["name"] for item in page["items"]]) == (200, ["blue-a"])
    assert "remainingItemCount" not in page["metadata"]
    token, revision = page["metadata"]["continue"], page["metadata"]["resourceVersion"]
    assert await names(town, "ann", f"{NAMESPACES}?limit=1&continue={token}") == ["blue-b"]
    # A page of somebody else's list gives what oneself may see.
    assert await names(town, "bob", f"{NAMESPACES}?limit=5&continue={token}") == ["red-a"]
    assert await names(town, "eve", f"{NAMESPACES}?limit=5&continue={token}") == []
    await make(town, namespace("red-b", "red"))
    for how in (f"resourceVersion={revision}&resourceVersionMatch=Exact", f"limit=9&continue={token}"):
        assert set(await names(town, "ann", f"{NAMESPACES}?{how}")) <= {"blue-a", "blue-b"}
    code, table = await town.call("ann", "GET", NAMESPACES, headers=TABLE)
    assert [row["cells"][0] for row in table["rows"]] == ["blue-a", "blue-b"]
    assert "red" not in json.dumps(table)


async def test_the_history_of_a_name_is_not_inherited_with_it(town: RunningAccess) -> None:
    _, before = await town.call(ADMIN, "GET", NAMESPACES)
    revision = before["metadata"]["resourceVersion"]
    assert (await town.call(ADMIN, "DELETE", f"{NAMESPACES}/red-a"))[0] == 200
    _, gone = await town.call(ADMIN, "GET", f"{NAMESPACES}/red-a")
    gone["spec"] = {"finalizers": []}
    assert (await town.call(ADMIN, "PUT", f"{NAMESPACES}/red-a/finalize", gone))[0] == 200
    await make(town, namespace("red-a", "blue"))
    assert await names(town, "ann", NAMESPACES) == ["blue-a", "blue-b", "red-a"]
    old = f"resourceVersion={revision}&resourceVersionMatch=Exact"
    assert await names(town, "ann", f"{NAMESPACES}?{old}") == ["blue-a", "blue-b"]
    # A deletion that one may or may not have seen the object of: list again.
    assert [type_ for type_, _ in await watched(town, "ann", f"resourceVersion={revision}")] == ["ERROR"]
    _, now = await town.call("ann", "GET", NAMESPACES)
    assert await watched(town, "ann", f"resourceVersion={now['metadata']['resourceVersion']}") == []


async def watched(access: RunningAccess, token: str, query: str) -> list[tuple[str, str]]:
    """Events of a watch that the server ends after a second."""
    async with access.as_(token) as session, session.get(f"{NAMESPACES}?watch=1&timeoutSeconds=1&{query}") as answer:
        assert answer.status == 200
        events = [json.loads(line) async for line in answer.content]
    return [(event["type"], event["object"].get("metadata", {}).get("name", "")) for event in events]


class Watching:
    """A watch that stays open; ``events`` grows."""

    def __init__(self, session: aiohttp.ClientSession, query: str) -> None:
        self.events: list[tuple[str, str]] = []
        self.text = ""
        self._task = asyncio.create_task(self._run(session, query))

    async def _run(self, session: aiohttp.ClientSession, query: str) -> None:
        async with session.get(f"{NAMESPACES}?watch=1&{query}") as answer:
            async for line in answer.content:
                event = json.loads(line)
                self.text += line.decode()
                what = event["object"]
                self.events.append((event["type"], str(what.get("code") or what["metadata"]["name"])))

    async def until(self, count: int) -> list[tuple[str, str]]:
        """The events once there are ``count``."""
        await until(lambda: len(self.events) >= count)
        return self.events

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_watches(town: RunningAccess) -> None:
    async with town.as_("ann") as session:
        watch = Watching(session, "")
        assert await watch.until(2) == [("ADDED", "blue-a"), ("ADDED", "blue-b")]
        await make(town, namespace("red-c", "red"), namespace("blue-c", "blue"))
        assert (await watch.until(3))[2:] == [("ADDED", "blue-c")]
        patch = {"metadata": {"annotations": {"a": "b"}}}
        for name in ("red-c", "blue-c"):
            async with (
                town.as_(ADMIN) as admin,
                admin.patch(
                    f"{NAMESPACES}/{name}", json=patch, headers={"Content-Type": "application/merge-patch+json"}
                ) as done,
            ):
                assert done.status == 200
        assert (await watch.until(4))[3:] == [("MODIFIED", "blue-c")]
        for name in ("red-c", "blue-c"):
            assert (await town.call(ADMIN, "DELETE", f"{NAMESPACES}/{name}"))[0] == 200
            _, gone = await town.call(ADMIN, "GET", f"{NAMESPACES}/{name}")
            gone["spec"] = {"finalizers": []}
            assert (await town.call(ADMIN, "PUT", f"{NAMESPACES}/{name}/finalize", gone))[0] == 200
        assert (await watch.until(6))[4:] == [("MODIFIED", "blue-c"), ("DELETED", "blue-c")]
        assert "red" not in watch.text
        await watch.end()


async def test_a_watch_ends_when_rights_change(town: RunningAccess) -> None:
    async with town.as_("carl") as session:
        watch = Watching(session, "")
        assert await watch.until(1) == [("ADDED", "blue-b")]
        await make(town, binding("carl", "ClusterRole/view", user("carl"), namespace="red-a"))
        assert (await watch.until(2))[1:] == [("ERROR", "410")]
        await watch.end()
        again = Watching(session, "")
        assert await again.until(2) == [("ADDED", "blue-b"), ("ADDED", "red-a")]
        assert (await town.call(ADMIN, "DELETE", f"{RBAC}/namespaces/red-a/rolebindings/carl"))[0] == 200
        patch = {"metadata": {"annotations": {"secret": "of red"}}}
        headers = {"Content-Type": "application/merge-patch+json"}
        async with town.as_(ADMIN) as admin, admin.patch(f"{NAMESPACES}/red-a", json=patch, headers=headers) as done:
            assert done.status == 200
        assert (await again.until(3))[2:] == [("ERROR", "410")]
        assert "of red" not in again.text
        await again.end()


async def test_a_locked_tenant_keeps_everybody_out(town: RunningAccess) -> None:
    _, blue = await town.call(ADMIN, "GET", f"{TENANTS}/blue")
    blue["spec"]["suspended"] = True
    assert (await town.call(ADMIN, "PUT", f"{TENANTS}/blue", blue))[0] == 200
    assert await names(town, "ann", NAMESPACES) == []
    assert (await town.call("ann", "GET", f"{NAMESPACES}/blue-a/pods"))[0] == 403
    assert (await town.call("ann", "POST", NAMESPACES, namespace("blue-z", "blue")))[0] == 403


async def test_what_was_in_a_namespace_is_not_inherited_with_its_name(town: RunningAccess) -> None:
    path = f"{NAMESPACES}/red-a/configmaps"
    hidden = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-red"}, "data": {"a": "b"}}
    assert (await town.call("bob", "POST", path, hidden))[0] == 201
    _, page = await town.call("bob", "GET", path)
    revision = page["metadata"]["resourceVersion"]
    assert (await town.call("bob", "DELETE", f"{path}/of-red"))[0] == 200
    assert (await town.call(ADMIN, "DELETE", f"{NAMESPACES}/red-a"))[0] == 200
    _, gone = await town.call(ADMIN, "GET", f"{NAMESPACES}/red-a")
    gone["spec"] = {"finalizers": []}
    assert (await town.call(ADMIN, "PUT", f"{NAMESPACES}/red-a/finalize", gone))[0] == 200
    await make(town, namespace("red-a", "blue"))
    for how in (f"resourceVersion={revision}&resourceVersionMatch=Exact", f"resourceVersion={revision}&limit=5"):
        code, answer = await town.call("ann", "GET", f"{path}?{how}")
        assert (code, answer["reason"]) == (410, "Expired"), answer
    watch = f"{path}?watch=1&timeoutSeconds=1&resourceVersion={revision}"
    async with town.as_("ann") as session, session.get(watch) as answer:
        text = await answer.text()
    assert "of-red" not in text
    assert json.loads(text.splitlines()[0])["object"]["code"] == 410
    assert await names(town, "ann", path) == []
