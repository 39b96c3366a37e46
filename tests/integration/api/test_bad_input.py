"""Bad input gets a clear refusal with the right code, stores nothing, and the server goes on."""

from __future__ import annotations

import asyncio
import ssl
from io import BytesIO
from typing import Any

import orjson
import pytest

from tests.integration.api.documents import CONFIGMAPS, PODS, configmap, create, node, patch, pod, send
from tests.support.apiserver import RunningApi

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (98 + at, 98 + at, *([97 + at] * 9)) for at in range(9)
)
JSON = "application/json"
YAML = "application/yaml"


def raw(document: Any) -> bytes:
    return orjson.dumps(document)


BODIES: dict[str, tuple[bytes, str, int, str]] = {
    "broken JSON": (b'{"apiVersion": "v1", ', JSON, 400, "unexpected end of JSON input"),
    "no object": (b"[1,2]", JSON, 400, "cannot unmarshal array"),
    "empty": (b"", JSON, 400, "couldn't get version/kind"),
    "not UTF-8": (b'{"metadata":{"name":"\xff"}}', JSON, 400, "invalid UTF-8"),
    "U+0000": (raw(configmap("c", {"a": "x\0y"})), JSON, 400, "must not contain the character U+0000"),
    "lone surrogate": (b'{"data":{"a":"\\ud800"},"metadata":{"name":"c"}}', JSON, 400, "lone surrogate"),
    "deep": (b'{"a":' * 5000 + b"1" + b"}" * 5000, JSON, 400, ""),
    "wrong type": (raw({**configmap(), "data": 5}), JSON, 400, "cannot be handled as a ConfigMap"),
    "wrong member type": (raw({**configmap(), "data": {"a": 5}}), JSON, 400, "cannot be handled as a ConfigMap"),
    "another kind": (raw(pod()), JSON, 400, "cannot be handled as a ConfigMap"),
    "another version": (raw({**configmap(), "apiVersion": "v2"}), JSON, 400, "does not match the expected API version"),
    "bad name": (
        raw(configmap("Bad_Name")),
        JSON,
        422,
        'metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123',
    ),
    "no name": (raw({**configmap(), "metadata": {}}), JSON, 422, "metadata.name: Required value: name or generateName"),
    "bad label": (raw(configmap("c", labels={"a b": "c"})), JSON, 422, 'metadata.labels: Invalid value: "a b"'),
    "bad key": (raw(configmap("c", {"a/b": "c"})), JSON, 422, 'data[a/b]: Invalid value: "a/b"'),
    "another namespace": (raw(configmap("c", namespace="kube-system")), JSON, 400, "does not match the namespace sent"),
    "a revision": (raw(configmap("c", resourceVersion="5")), JSON, 400, "resourceVersion should not be set"),
    "YAML duplicate key": (b"metadata: {name: c}\ndata: {a: x, a: y}\n", YAML, 400, "a"),
    "YAML bomb": (BOMB, YAML, 400, ""),
    "YAML depth": (b"a: " + b"[" * 3000 + b"]" * 3000, YAML, 400, ""),
    "YAML broken": (b"a: [", YAML, 400, ""),
    "media type": (b"<x/>", "application/xml", 415, "accepted media types include"),
}


@pytest.fixture
async def api_after(api: RunningApi) -> Any:
    """The server; afterwards it must hold nothing new and still answer."""
    before = await send(api.client, "GET", CONFIGMAPS)
    yield api
    after = await send(api.client, "GET", CONFIGMAPS)
    assert after["items"] == before["items"] == []


async def test_bodies(api_after: RunningApi) -> None:
    for case, (body, content_type, code, text) in BODIES.items():
        headers = {"Content-Type": content_type}
        async with api_after.client.post(CONFIGMAPS, data=body, headers=headers) as response:
            status = await response.json()
            assert response.status == code, f"{case}: {status}"
            assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code), case
            assert text in status["message"], f"{case}: {status['message']}"


async def test_strict_duplicates_in_json(api_after: RunningApi) -> None:
    body = b'{"metadata":{"name":"c","name":"d"}}'
    headers = {"Content-Type": JSON}
    async with api_after.client.post(
        CONFIGMAPS, data=body, headers=headers, params={"fieldValidation": "Strict"}
    ) as response:
        assert response.status == 400
        assert 'duplicate field "metadata.name"' in (await response.json())["message"]


async def test_three_megabytes_are_too_many(api_after: RunningApi) -> None:
    limit = 3 * 1024 * 1024
    body = raw(configmap("c", {"a": "x" * limit}))
    async with api_after.client.post(CONFIGMAPS, data=BytesIO(body), headers={"Content-Type": JSON}) as response:
        status = await response.json()
        assert (response.status, status["reason"]) == (413, "RequestEntityTooLarge")
        assert status["message"] == f"Request entity too large: limit is {limit}"


async def test_a_body_without_an_end_is_cut_off(api_after: RunningApi) -> None:
    """Chunked: no Content-Length announces how much is to come."""
    host, port = api_after.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=api_after.tls)
    head = f"POST {CONFIGMAPS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    try:
        for _ in range(64):
            writer.write(chunk)
            await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b"413" in answer.partition(b"\r\n")[0]
        assert b"connection: close" in answer.lower()
    except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
        pytest.fail("the server hung up before it said why")
    finally:
        writer.transport.abort()


UNKNOWN = [
    ("GET", "/api/v1/namespaces/default/widgets", 404),
    ("GET", "/apis/nowhere.io/v1/widgets", 404),
    ("GET", "/api/v2/pods", 404),
    ("GET", "/api/v1/namespaces/default/nodes", 404),
    ("GET", "/api/v1/pods/p", 404),
    ("GET", f"{PODS}/p/nothing", 404),
    ("GET", "/nowhere", 404),
    ("GET", "/api/v1/namespaces/default/pods/p/log/more", 404),
    ("POST", "/api/v1/pods", 405),
    ("POST", f"{PODS}/p", 405),
    ("PUT", PODS, 405),
    ("PATCH", PODS, 405),
    ("DELETE", "/api/v1/namespaces", 405),
    ("GET", "/apis/moorage.io/v1/transactions", 405),
    ("DELETE", f"{PODS}/p/status", 405),
    ("OPTIONS", PODS, 405),
    ("TRACE", PODS, 405),
    ("POST", "/version", 405),
]


async def test_unknown_paths_and_methods_are_statuses(api_after: RunningApi) -> None:
    for method, path, code in UNKNOWN:
        async with api_after.client.request(method, path, json={}) as response:
            text = await response.text()
            assert response.status == code, f"{method} {path}: {response.status} {text}"
            assert orjson.loads(text)["kind"] == "Status"


async def test_unknown_kind_says_so_as_kubernetes_does(api: RunningApi) -> None:
    status = await send(api.client, "GET", "/apis/nowhere.io/v1/widgets", expect=404)
    assert status["message"] == "the server could not find the requested resource"


async def test_namespaces_must_be_there(api: RunningApi) -> None:
    status = await send(api.client, "POST", "/api/v1/namespaces/nowhere/configmaps", configmap(), expect=404)
    assert status["message"] == 'namespaces "nowhere" not found'


async def test_what_cannot_be_accepted_is_406(api: RunningApi) -> None:
    status = await send(api.client, "GET", PODS, expect=406, headers={"Accept": "image/png"})
    assert status["reason"] == "NotAcceptable"


async def test_broken_selectors_and_tokens(api: RunningApi) -> None:
    for params, text in (
        ({"labelSelector": "a in (b"}, "unable to parse requirement"),
        ({"fieldSelector": "spec.nothing=1"}, "field label not supported: spec.nothing"),
        ({"continue": "xyz"}, "continue key is not valid"),
        ({"limit": "many"}, "must be an integer"),
    ):
        assert text in (await send(api.client, "GET", PODS, expect=400, params=params))["message"]


async def test_every_broken_rule_is_a_cause(api: RunningApi) -> None:
    broken = pod("Bad")
    broken["spec"]["containers"].append({"name": "c", "image": "x", "ports": [{"containerPort": 99999}]})
    broken["spec"]["restartPolicy"] = "Foo"
    status = await send(api.client, "POST", PODS, broken, expect=422)
    assert status["message"].startswith('Pod "Bad" is invalid: [')
    causes = {cause["field"]: cause["reason"] for cause in status["details"]["causes"]}
    assert causes["metadata.name"] == "FieldValueInvalid"
    assert causes["spec.containers[1].name"] == "FieldValueDuplicate"
    assert causes["spec.containers[1].ports[0].containerPort"] == "FieldValueInvalid"
    assert causes["spec.restartPolicy"] == "FieldValueNotSupported"


async def test_patches_that_cannot_be(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap())
    path = f"{CONFIGMAPS}/c"
    status = await patch(api.client, path, {"data": 5}, expect=422)
    assert status["details"]["causes"][0]["field"] == "patch"
    await patch(api.client, path, [1], expect=400)
    await patch(api.client, path, {"metadata": {"name": "d"}}, expect=400)
    await patch(api.client, path, {"metadata": {"resourceVersion": "1"}}, expect=409)
    await patch(api.client, path, [{"op": "test", "path": "/data/a", "value": "9"}], "json-patch+json", expect=422)
    await patch(api.client, path, {"data": {}}, "mystery+json", expect=415)
    status = await patch(api.client, path, {"data": {}}, "apply-patch+yaml", expect=422)
    assert "fieldManager: Required value: is required for apply patch" in status["message"]
    status = await patch(api.client, path, {"data": {}}, expect=422, params={"force": "true"})
    assert "may not be specified for non-apply patch" in status["message"]
    assert (await send(api.client, "GET", path))["data"] == {"a": "1"}


async def test_immutable_fields(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, {**configmap(), "immutable": True})
    status = await patch(api.client, f"{CONFIGMAPS}/c", {"data": {"b": "1"}}, expect=422)
    assert "field is immutable when `immutable` is set" in status["message"]
    made = await create(api.client, PODS, pod())
    status = await patch(api.client, f"{PODS}/p", {"metadata": {"uid": "another"}}, expect=409)
    status = await patch(
        api.client, f"{PODS}/p", {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}, expect=422
    )
    assert "metadata.creationTimestamp: Invalid value" in status["message"]
    assert await send(api.client, "GET", f"{PODS}/p") == made


async def test_a_namespace_is_no_place_for_cluster_things(api: RunningApi) -> None:
    body = node()
    body["metadata"]["namespace"] = "default"
    await send(api.client, "POST", "/api/v1/nodes", body, expect=400)
