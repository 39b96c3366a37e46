"""Health, version, metrics, discovery, OpenAPI, the CA: what is served beside the resources."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moorage.api.contracts import AdmissionRequest
from moorage.resources.kind import FieldError
from moorage.store.contracts import Unavailable
from tests.integration.api.documents import CONFIGMAPS, configmap, create, send
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates
from tests.support.identities import TestAdmission


async def text(api: RunningApi, path: str, expect: int = 200, **options: Any) -> str:
    async with api.client.get(path, **options) as response:
        assert response.status == expect
        return await response.text()


async def test_health(api: RunningApi) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/readyz/database", "/livez/ping"):
        assert await text(api, path) == "ok"
    verbose = await text(api, "/readyz?verbose")
    assert verbose == "[+]ping ok\n[+]database ok\n[+]startup ok\n[+]shutdown ok\nreadyz check passed\n"
    await text(api, "/readyz/nothing", 404)


async def test_readiness_waits_for_the_database(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> int:
        raise Unavailable("connection refused")

    monkeypatch.setattr(api.store, "latest", away)
    assert "[-]database failed: PostgreSQL does not answer: connection refused" in await text(api, "/readyz", 503)
    assert await text(api, "/livez") == "ok"
    status = await send(api.client, "GET", CONFIGMAPS, expect=503)
    assert status["reason"] == "ServiceUnavailable"
    assert "connection refused" in status["message"]


async def test_version(api: RunningApi) -> None:
    version = await send(api.client, "GET", "/version")
    assert (version["major"], version["minor"]) == ("1", "36")
    assert version["gitVersion"].startswith("v1.36.")


async def test_the_ca_is_public(api: RunningApi) -> None:
    assert await text(api, "/cacerts") == api.ca_file.read_text()


async def test_metrics(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap())
    await send(api.client, "GET", f"{CONFIGMAPS}/missing", expect=404)
    lines = (await text(api, "/metrics")).splitlines()
    assert 'moorage_api_requests_total{verb="create",group="",resource="configmaps",code="201"} 1' in lines
    assert 'moorage_api_requests_total{verb="get",group="",resource="configmaps",code="404"} 1' in lines
    assert 'moorage_api_request_seconds_count{verb="create",resource="configmaps"} 1' in lines
    assert any(line.startswith("moorage_store_revision ") for line in lines)


async def test_discovery_old_and_aggregated(api: RunningApi) -> None:
    assert (await send(api.client, "GET", "/api"))["versions"] == ["v1"]
    groups = [each["name"] for each in (await send(api.client, "GET", "/apis/"))["groups"]]
    assert {"apps", "gitops.moorage.io", "moorage.io"} <= set(groups)
    resources = await send(api.client, "GET", "/apis/apps/v1")
    assert "deployments/scale" in [each["name"] for each in resources["resources"]]
    await send(api.client, "GET", "/apis/nowhere.io", expect=404)
    await send(api.client, "GET", "/apis/apps/v9", expect=404)
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    async with api.client.get("/apis", headers={"Accept": accept}) as response:
        assert response.headers["Content-Type"] == accept.partition(",")[0]
        assert (await response.json(content_type=None))["kind"] == "APIGroupDiscoveryList"
        tag = response.headers["ETag"]
    async with api.client.get("/apis", headers={"Accept": accept, "If-None-Match": tag}) as response:
        assert response.status == 304


async def test_openapi(api: RunningApi) -> None:
    index = await send(api.client, "GET", "/openapi/v3")
    url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
    async with api.client.get(url) as response:
        assert "immutable" in response.headers["Cache-Control"]
        document = await response.json()
    assert "io.k8s.api.apps.v1.Deployment" in document["components"]["schemas"]
    swagger = await send(api.client, "GET", "/openapi/v2")
    assert "io.k8s.api.core.v1.Pod" in swagger["definitions"]
    await send(api.client, "GET", "/openapi/v3/apis/nowhere.io/v1", expect=404)


async def test_admission_changes_and_refuses(database_url: str, certificates: Certificates) -> None:
    seen: list[str] = []

    def mutate(request: AdmissionRequest) -> None:
        seen.append(f"{request.operation} {request.kind.plural}")
        if request.document is not None and request.kind.plural == "configmaps":
            request.document["metadata"].setdefault("labels", {})["by"] = request.identity.name

    def validate(request: AdmissionRequest) -> list[FieldError]:
        assert (
            request.kind.plural != "configmaps"
            or request.document is None
            or request.document["metadata"]["labels"]["by"]
        )
        if request.name != "bad":
            return []
        return [FieldError("metadata.name", "FieldValueForbidden", "Forbidden: no bad things")]

    async with serve_api(database_url, certificates, admissions=[TestAdmission(mutate, validate)]) as api:
        made = await create(api.client, CONFIGMAPS, configmap())
        assert made["metadata"]["labels"] == {"by": "admin"}
        status = await send(api.client, "POST", CONFIGMAPS, configmap("bad"), expect=403)
        assert status["message"] == 'configmaps "bad" is forbidden: metadata.name: Forbidden: no bad things'
        await send(api.client, "DELETE", f"{CONFIGMAPS}/c")
        assert seen[-3:] == ["CREATE configmaps", "CREATE configmaps", "DELETE configmaps"]


async def test_two_servers_may_start_at_once(database_url: str, certificates: Certificates) -> None:
    """Both make the namespaces of the system; each is there once."""

    async def names(server: str) -> list[str]:
        async with serve_api(database_url, certificates, server=server) as api:
            items = (await send(api.client, "GET", "/api/v1/namespaces"))["items"]
            return [each["metadata"]["name"] for each in items]

    one, two = await asyncio.gather(names("one"), names("two"))
    assert one == two == ["default", "kube-node-lease", "kube-public", "kube-system"]


async def test_events_are_one_store_in_two_forms(api: RunningApi) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        "reason": "Started",
        "message": "it runs",
        "type": "Normal",
    }
    await create(api.client, "/api/v1/namespaces/default/events", event)
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    other = await send(api.client, "GET", f"{path}/e")
    assert (other["apiVersion"], other["note"], other["regarding"]["name"]) == ("events.k8s.io/v1", "it runs", "p")
    listed = await send(api.client, "GET", path, params={"fieldSelector": "regarding.name=p"})
    assert (listed["kind"], listed["items"][0]["note"]) == ("EventList", "it runs")
    new = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "f"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "q"},
        "reason": "Stopped",
        "action": "Stopping",
        "note": "it is over",
        "type": "Normal",
        "reportingController": "x.io/y",
        "reportingInstance": "z",
    }
    made = await create(api.client, path, new)
    assert made["note"] == "it is over"
    core = await send(api.client, "GET", "/api/v1/namespaces/default/events/f")
    assert (core["apiVersion"], core["message"], core["involvedObject"]["name"]) == ("v1", "it is over", "q")
    async with api.client.get(path, params={"watch": "1", "timeoutSeconds": "1"}) as response:
        assert b'"apiVersion":"events.k8s.io/v1"' in await response.content.readline()
