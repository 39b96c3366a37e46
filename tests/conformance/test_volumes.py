"""Volumes: emptyDir, configMap, secret, downwardAPI, projected; modes, items, optional sources, updates, subPath."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.conformance.workloads import container, pod
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

SHOW = "for f in $(find /v -follow -type f | grep -v /[.][.] | sort); do echo $f $(stat -L -c %a $f) $(cat $f); done"
LIMITS = {"limits": {"cpu": "1250m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}


def _mount(name: str, path: str = "/v", **more: Any) -> Document:
    return {"name": name, "mountPath": path, **more}


def _shows(name: str, image: str, *volumes: Document, script: str = SHOW, **more: Any) -> Document:
    mounts = [_mount(each["name"], "/v" if len(volumes) == 1 else f"/v/{each['name']}") for each in volumes]
    return pod(name, container(image, script, volumeMounts=mounts, resources=LIMITS, **more), volumes=list(volumes))


def _pods(image: str) -> list[Document]:
    settings, hidden = {"name": "settings"}, {"secretName": "hidden"}
    items = [{"key": "data-2", "path": "path/to/data-2", "mode": 0o400}]
    downward = [
        {"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "secret-mode", "mode": 0o400, "fieldRef": {"fieldPath": "metadata.namespace"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}},
        {
            "path": "cpu-request",
            "resourceFieldRef": {"containerName": "main", "resource": "requests.cpu", "divisor": "1m"},
        },
        {"path": "memory", "resourceFieldRef": {"containerName": "main", "resource": "limits.memory"}},
    ]
    sources = [
        {"configMap": {"name": "settings", "items": [{"key": "data-1", "path": "one"}]}},
        {"secret": {"name": "hidden", "items": [{"key": "data-1", "path": "two"}]}},
        {"downwardAPI": {"items": [{"path": "three", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    user = {"runAsUser": 1000}
    shared = [{"name": "e", "mountPath": "/v"}]
    bare = [
        {"path": name, "resourceFieldRef": {"containerName": "main", "resource": name}}
        for name in ("limits.memory", "limits.cpu")
    ]
    parts = [
        _mount("s", "/v/secret", subPath="data-1"),
        _mount("d", "/v/downward", subPath="podname"),
        _mount("p", "/v/projected", subPath="two"),
    ]
    behind = [
        {"name": "s", "secret": hidden},
        {"name": "d", "downwardAPI": {"items": downward[:1]}},
        {"name": "p", "projected": {"sources": sources}},
    ]
    return [
        pod("unlimited", container(image, SHOW, volumeMounts=[_mount("d")]),
            volumes=[{"name": "d", "downwardAPI": {"items": bare}}]),
        pod("subpaths", container(image, "cat /v/secret /v/downward /v/projected", volumeMounts=parts), volumes=behind),
        _shows("empty-modes", image, {"name": "e", "emptyDir": {"medium": "Memory"}}, securityContext=user,
               script="umask 0; for m in 644 666 777; do touch /v/$m; chmod $m /v/$m; stat -c '%a %u' /v/$m; done"),
        _shows("cm", image, {"name": "c", "configMap": settings}),
        _shows("cm-items", image, {"name": "c", "configMap": {**settings, "items": items}}),
        _shows("cm-mode", image, {"name": "c", "configMap": {**settings, "defaultMode": 0o440}}),
        _shows("cm-user", image, {"name": "c", "configMap": settings}, securityContext=user),
        _shows("cm-twice", image, {"name": "a", "configMap": settings}, {"name": "b", "configMap": settings}),
        _shows("secret", image, {"name": "s", "secret": hidden}),
        _shows("secret-mode", image, {"name": "s", "secret": {**hidden, "defaultMode": 0o400}}),
        _shows("optional", image, {"name": "o", "configMap": {"name": "never", "optional": True}}, script="ls /v; echo ok"),
        _shows("downward", image, {"name": "d", "downwardAPI": {"items": downward}}),
        _shows("projected", image, {"name": "p", "projected": {"sources": sources, "defaultMode": 0o400}}),
        _shows("projected-fs", image, {"name": "p", "projected": {"sources": sources[1:2], "defaultMode": 0o440}},
               securityContext=user) | {},
        _shows("empty", image, {"name": "e", "emptyDir": {}}, script="stat -c %a /v; touch /v/f; stat -c %a /v/f"),
        _shows("memory", image, {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
               script="grep ' /v ' /proc/mounts | cut -d' ' -f3; stat -c %a /v"),
        _shows("empty-user", image, {"name": "e", "emptyDir": {}}, script="echo mine > /v/f; cat /v/f", securityContext=user),
        pod("shared", container(image, "until test -e /v/f; do sleep 0.1; done; cat /v/f", volumeMounts=shared),
            container(image, "echo from the other > /v/f", "writer", volumeMounts=shared),
            volumes=[{"name": "e", "emptyDir": {}}]),
        pod("subpath", container(image, "cat /one /v/inner; echo $MINE > /s/f; cat /s/f", env=[{"name": "MINE", "value": "sub"}],
            volumeMounts=[_mount("c", "/one", subPath="data-1"), _mount("c", "/v/inner", subPath="data-2"),
                          _mount("e", "/s", subPathExpr="dir-$(MINE)")]),
            volumes=[{"name": "c", "configMap": settings}, {"name": "e", "emptyDir": {}}]),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def pods(api: Rest, space: str, image: str) -> str:
    """The path of pods that show what they find in their volumes, all started together."""
    inside = f"/api/v1/namespaces/{space}"
    binary = base64.b64encode(b"\x00\xff binary").decode()
    data = {"data-1": "value-1", "data-2": "value-2"}
    api.create(f"{inside}/configmaps", {"metadata": {"name": "settings"}, "data": data, "binaryData": {"dump": binary}})
    api.create(f"{inside}/secrets", {"metadata": {"name": "hidden"}, "stringData": {"data-1": "secret-1"}})
    for document in _pods(image):
        if document["metadata"]["name"] == "projected-fs":
            document["spec"]["securityContext"] = {"fsGroup": 1001}
        api.create(f"{inside}/pods", document)
    return f"{inside}/pods"


async def _lines(api: Rest, pods: str, name: str) -> list[str]:
    def ended() -> bool:
        status = api.get(f"{pods}/{name}")["status"]
        if status["phase"] not in {"Succeeded", "Failed"}:
            raise NotYet(f"{name}: {status}")
        return True

    await until(ended, timeout=90, every=0.1)
    return api.request("GET", f"{pods}/{name}/log", container="main").text.splitlines()


async def test_without_limits_the_nodes_are_told(api: Rest, pods: str) -> None:
    lines = await _lines(api, pods, "unlimited")
    node = api.get(f"{pods}/unlimited")["spec"]["nodeName"]
    allocatable = api.get(f"/api/v1/nodes/{node}")["status"]["allocatable"]
    kibibytes = int(allocatable["memory"].removesuffix("Ki"))
    assert lines == [f"/v/limits.cpu 644 {allocatable['cpu']}", f"/v/limits.memory 644 {kibibytes * 1024}"]


ONE, TWO = "/v/data-1 644 value-1", "/v/data-2 644 value-2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cm-items", ["/v/path/to/data-2 400 value-2"]),
        ("secret", ["/v/data-1 644 secret-1"]),
        ("secret-mode", ["/v/data-1 400 secret-1"]),
        ("optional", ["ok"]),
        (
            "downward",
            [
                "/v/cpu 644 2",
                "/v/cpu-request 644 250",
                '/v/labels 644 name="downward"',
                "/v/memory 644 67108864",
                "/v/podname 644 downward",
            ],
        ),
        ("projected", ["/v/one 400 value-1", "/v/three 400 projected", "/v/two 400 secret-1"]),
        ("projected-fs", ["/v/two 440 secret-1"]),
        ("subpaths", ["secret-1subpathssecret-1"]),
        ("empty-modes", ["644 1000", "666 1000", "777 1000"]),
        ("empty", ["777", "644"]),
        ("memory", ["tmpfs", "777"]),
        ("empty-user", ["mine"]),
        ("shared", ["from the other"]),
        ("subpath", ["value-1value-2sub"]),
    ],
)
async def test_what_a_pod_finds(api: Rest, pods: str, name: str, expected: list[str]) -> None:
    lines = await _lines(api, pods, name)
    assert [line for line in lines if "secret-mode 400" not in line] == expected


async def test_texts_and_bytes_of_a_configmap(api: Rest, pods: str) -> None:
    for name in ("cm", "cm-user"):
        lines = await _lines(api, pods, name)
        assert lines[:2] == [ONE, TWO]
        assert lines[2].startswith("/v/dump 644")
    assert [line.split()[1] for line in await _lines(api, pods, "cm-mode")] == ["440"] * 3
    twice = await _lines(api, pods, "cm-twice")
    assert "/v/a/data-1 644 value-1" in twice
    assert "/v/b/data-1 644 value-1" in twice
    (mode,) = [line for line in await _lines(api, pods, "downward") if "secret-mode" in line]
    assert mode.startswith("/v/secret-mode 400 ")


async def test_changes_reach_the_files(api: Rest, space: str, image: str) -> None:
    inside = f"/api/v1/namespaces/{space}"
    api.create(f"{inside}/configmaps", {"metadata": {"name": "changes"}, "data": {"a": "1", "b": "1"}})
    api.create(f"{inside}/secrets", {"metadata": {"name": "goes"}, "stringData": {"a": "1"}})
    optional = {"optional": True}
    volumes = [
        {"name": "c", "configMap": {"name": "changes"}},
        {"name": "s", "secret": {"secretName": "goes", **optional}},
        {"name": "n", "projected": {"sources": [{"configMap": {"name": "comes", **optional}}]}},
        {"name": "l", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    files = "/v/c/a /v/c/b /v/s/a /v/n/a /v/l/labels"
    script = f'while true; do echo "state: $(cat {files} 2>/dev/null | tr "\\n" " ")"; sleep 0.3; done'
    body = _shows("follows", image, *volumes, script=script)
    api.create(f"{inside}/pods", body)

    def state() -> str:
        lines = api.request("GET", f"{inside}/pods/follows/log", tailLines=1).text.splitlines()
        return lines[-1] if lines and lines[-1].startswith("state: ") else ""

    async def shows(text: str) -> None:
        def shown() -> bool:
            if state().strip() != text:
                raise NotYet(f"{state()!r} instead of {text!r}")
            return True

        await until(shown, timeout=120, every=0.3)

    await shows('state: 111name="follows"')
    api.patch(f"{inside}/configmaps/changes", {"data": {"a": "2", "b": None}})
    api.delete(f"{inside}/secrets/goes")
    api.create(f"{inside}/configmaps", {"metadata": {"name": "comes"}, "data": {"a": "3"}})
    api.patch(f"{inside}/pods/follows", {"metadata": {"labels": {"more": "x"}}})
    await shows('state: 23more="x" name="follows"')
    api.delete(f"{inside}/pods/follows", {"gracePeriodSeconds": 0})


async def test_a_pod_waits_for_what_is_not_optional(api: Rest, space: str, image: str) -> None:
    inside = f"/api/v1/namespaces/{space}"
    api.create(f"{inside}/pods", _shows("waits", image, {"name": "c", "configMap": {"name": "awaited"}}))

    def told() -> bool:
        events = api.get(f"{inside}/events", fieldSelector="involvedObject.name=waits")["items"]
        return any(
            each["reason"] == "FailedMount" and 'configmap "awaited" not found' in each["message"] for each in events
        )

    await until(told, timeout=60)
    assert api.get(f"{inside}/pods/waits")["status"]["phase"] == "Pending"
    api.create(f"{inside}/configmaps", {"metadata": {"name": "awaited"}, "data": {"a": "here"}})
    assert await _lines(api, f"{inside}/pods", "waits") == ["/v/a 644 here"]
