"""status, scale, binding and log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.websockets import WebSocket

from moorage.client.tunnel import TunnelError, broken
from tests.integration.api.documents import DEPLOYMENTS, PODS, create, deployment, patch, pod, send
from tests.integration.api.test_delete import bind
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates
from tests.support.wait import until


async def test_status_changes_nothing_else_and_nothing_else_changes_status(api: RunningApi) -> None:
    made = await create(api.client, DEPLOYMENTS, {**deployment(), "status": {"replicas": 7}})
    assert made.get("status", {}).get("replicas") is None
    body = {**made, "spec": {**made["spec"], "replicas": 9}, "status": {"replicas": 3, "observedGeneration": 1}}
    updated = await send(api.client, "PUT", f"{DEPLOYMENTS}/d/status", body)
    assert updated["status"]["replicas"] == 3
    assert updated["spec"]["replicas"] == 1
    assert updated["metadata"]["generation"] == 1
    again = await patch(api.client, f"{DEPLOYMENTS}/d", {"status": {"replicas": 8}, "spec": {"paused": True}})
    assert again["status"]["replicas"] == 3
    assert again["metadata"]["generation"] == 2
    assert (await send(api.client, "GET", f"{DEPLOYMENTS}/d/status"))["status"]["replicas"] == 3
    entries = {each.get("subresource", ""): each for each in again["metadata"]["managedFields"]}
    assert "f:status" in entries["status"]["fieldsV1"]
    assert "f:status" not in entries[""]["fieldsV1"]


async def test_scale(api: RunningApi) -> None:
    await create(api.client, DEPLOYMENTS, deployment())
    path = f"{DEPLOYMENTS}/d/scale"
    scale = await send(api.client, "GET", path)
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 1)
    assert scale["status"]["selector"] == "app=d"
    scale["spec"]["replicas"] = 4
    bigger = await send(api.client, "PUT", path, scale)
    assert bigger["spec"]["replicas"] == 4
    status = await send(api.client, "PUT", path, scale, expect=409)
    assert "the object has been modified" in status["message"]
    assert (await patch(api.client, path, {"spec": {"replicas": 2}}))["spec"]["replicas"] == 2
    refused = await patch(api.client, path, {"spec": {"replicas": -1}}, expect=422)
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in refused["message"]
    await patch(api.client, path, {"spec": {"replicas": "many"}}, expect=400)
    now = await send(api.client, "GET", f"{DEPLOYMENTS}/d")
    assert now["spec"]["replicas"] == 2
    assert now["metadata"]["generation"] == 3


async def test_a_pod_is_bound_once(api: RunningApi) -> None:
    made = await create(api.client, PODS, pod())
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p", "uid": "other"}, "target": {"name": "n1"}}
    await send(api.client, "POST", f"{PODS}/p/binding", body, expect=409)
    body["metadata"] = {"name": "p", "uid": made["metadata"]["uid"], "annotations": {"why": "here"}}
    assert (await create(api.client, f"{PODS}/p/binding", body))["status"] == "Success"
    bound = await send(api.client, "GET", f"{PODS}/p")
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["metadata"]["annotations"] == {"why": "here"}
    conditions = {each["type"]: each for each in bound["status"]["conditions"]}
    assert conditions["PodScheduled"]["status"] == "True"
    refused = await send(api.client, "POST", f"{PODS}/p/binding", {**body, "target": {"name": "n2"}}, expect=409)
    assert refused["message"] == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    )
    await send(api.client, "POST", f"{PODS}/p/binding", {**body, "target": {}}, expect=422)
    missing = {**body, "metadata": {"name": "q"}}
    await send(api.client, "POST", f"{PODS}/q/binding", missing, expect=404)


class Node:
    """A node that answers with its request, or as told."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.chunks: list[bytes] = [b"one\n", b"two\n"]
        self.error: TunnelError | None = None
        self.open_streams = 0
        self.endless = False

    @asynccontextmanager
    async def open(self, node: str, request: dict[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append({"node": node, **request})
        self.open_streams += 1
        try:
            yield self._stream()
        finally:
            self.open_streams -= 1

    async def _stream(self) -> AsyncIterator[bytes]:
        if self.error is not None:
            raise self.error
        for chunk in self.chunks:
            yield chunk
        if self.endless:
            await until(lambda: not self.endless, timeout=60)

    async def accept(self, socket: WebSocket) -> None:
        await socket.close()

    async def accept_peer(self, socket: WebSocket) -> None:
        await socket.close()

    async def close(self) -> None:
        return


async def test_logs_come_through_the_nodes_tunnel(database_url: str, certificates: Certificates) -> None:
    node = Node()
    async with serve_api(database_url, certificates, tunnels=node) as api:
        two = pod()
        two["spec"]["containers"].append({"name": "d", "image": "busybox"})
        made = await create(api.client, PODS, two)
        path = f"{PODS}/p/log"
        refused = await send(api.client, "GET", path, expect=400)
        assert refused["message"] == "a container name must be specified for pod p, choose one of: [c d]"
        refused = await send(api.client, "GET", path, expect=400, params={"container": "x"})
        assert refused["message"] == "container x is not valid for pod p"
        async with api.client.get(path, params={"container": "c"}) as response:
            assert (response.status, await response.text()) == (200, "")
        await bind(api)
        options = {"container": "c", "tailLines": "5", "timestamps": "true", "previous": "1", "sinceSeconds": "9"}
        async with api.client.get(path, params=options) as response:
            assert response.headers["Content-Type"].startswith("text/plain")
            assert await response.text() == "one\ntwo\n"
        assert node.asked[-1] == {
            "node": "n1", "kind": "logs", "namespace": "default", "pod": "p", "uid": made["metadata"]["uid"],
            "container": "c", "follow": False, "previous": True, "timestamps": True, "tailLines": 5, "sinceSeconds": 9,
        }  # fmt: skip
        await send(api.client, "GET", path, expect=422, params={"container": "c", "tailLines": "-1"})
        await send(api.client, "GET", f"{PODS}/missing/log", expect=404)
        node.error = TunnelError({**broken("the container is waiting to start"), "code": 400, "reason": "BadRequest"})
        status = await send(api.client, "GET", path, expect=400, params={"container": "c"})
        assert status["message"] == "the container is waiting to start"


async def test_a_followed_log_ends_with_its_client_and_with_the_server(
    database_url: str, certificates: Certificates
) -> None:
    node = Node()
    node.endless = True
    async with serve_api(database_url, certificates, tunnels=node) as api:
        await create(api.client, PODS, pod())
        await bind(api)
        async with api.client.get(f"{PODS}/p/log", params={"follow": "true"}) as response:
            assert await response.content.readexactly(8) == b"one\ntwo\n"
        await until(lambda: node.open_streams == 0)
        async with api.client.get(f"{PODS}/p/log", params={"follow": "true"}) as response:
            assert await response.content.readexactly(8) == b"one\ntwo\n"
            api.app.service.stop_streams()
            assert await response.content.read() == b""
        await until(lambda: node.open_streams == 0)


async def test_a_quiet_log_is_followed_all_the_same(database_url: str, certificates: Certificates) -> None:
    node = Node()
    node.endless, node.chunks = True, []
    async with serve_api(database_url, certificates, tunnels=node) as api:
        await create(api.client, PODS, pod())
        await bind(api)
        async with api.client.get(f"{PODS}/p/log", params={"follow": "true"}) as response:
            assert response.status == 200
        await until(lambda: node.open_streams == 0)


async def test_a_node_without_a_tunnel_is_503(api: RunningApi) -> None:
    await create(api.client, PODS, pod())
    await bind(api)
    status = await send(api.client, "GET", f"{PODS}/p/log", expect=503)
    assert 'node "n1" has no tunnel open' in status["message"]
