"""Volumes of Secrets and ConfigMaps beside each other: the same one twice, projected, another namespace's of the same name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.workloads import container, pod
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

SHOW = "for f in $(find /v -follow -type f | grep -v /[.][.] | sort); do echo $f $(stat -L -c %a $f) $(cat $f); done"
MANY, TOGETHER = 50, 5


def _pod(name: str, image: str, script: str, *volumes: Document, **more: Any) -> Document:
    mounts = [{"name": each["name"], "mountPath": f"/v/{each['name']}"} for each in volumes]
    return pod(name, container(image, script, volumeMounts=mounts, **more), volumes=list(volumes))


def _projected(name: str, *sources: Document) -> Document:
    return {"name": name, "projected": {"sources": list(sources)}}


def _beside(image: str) -> Document:
    """Every kind of volume once more, in one pod."""
    settings = {"configMap": {"name": "settings"}}
    mapped = {"secret": {"name": "hidden", "items": [{"key": "data-1", "path": "new/path", "mode": 0o400}]}}
    return _pod(
        "beside",
        image,
        SHOW,
        _projected("cm-one", settings),
        _projected("cm-two", settings),
        _projected("mapped-one", mapped),
        _projected("mapped-two", mapped),
        {"name": "secret-one", "secret": {"secretName": "hidden"}},
        {"name": "secret-two", "secret": {"secretName": "hidden"}},
        {"name": "plain", "configMap": {"name": "settings"}},
    )


def _as_user(image: str) -> Document:
    items = [{"key": "data-1", "path": "path/to/data", "mode": 0o444}]
    volume = _projected("cm", {"configMap": {"name": "settings", "items": items}})
    return _pod("user", image, f"id -u; {SHOW}", volume, securityContext={"runAsUser": 1000})


@pytest.fixture(scope="module")
def inside(api: Rest, space: str, image: str) -> str:
    """The path of the namespace; pods in it were started together."""
    path, other = f"/api/v1/namespaces/{space}", f"{space}-other"
    api.create("/api/v1/namespaces", {"metadata": {"name": other}})
    api.create(f"{path}/configmaps", {"metadata": {"name": "settings"}, "data": {"data-1": "value-1"}})
    for name, value in ((space, "secret-1"), (other, "not this one")):
        secret = {"metadata": {"name": "hidden"}, "stringData": {"data-1": value}}
        api.create(f"/api/v1/namespaces/{name}/secrets", secret)
    for document in (_beside(image), _as_user(image)):
        api.create(f"{path}/pods", document)
    api.delete(f"/api/v1/namespaces/{other}")
    return path


async def _lines(api: Rest, inside: str, name: str) -> list[str]:
    def ended() -> bool:
        status = api.get(f"{inside}/pods/{name}")["status"]
        if status["phase"] not in {"Succeeded", "Failed"}:
            raise NotYet(f"{name}: {status}")
        return True

    await until(ended, timeout=90, every=0.1)
    return api.request("GET", f"{inside}/pods/{name}/log", container="main").text.splitlines()


async def test_the_same_object_in_many_volumes(api: Rest, inside: str) -> None:
    assert await _lines(api, inside, "beside") == [
        "/v/cm-one/data-1 644 value-1",
        "/v/cm-two/data-1 644 value-1",
        "/v/mapped-one/new/path 400 secret-1",
        "/v/mapped-two/new/path 400 secret-1",
        "/v/plain/data-1 644 value-1",
        "/v/secret-one/data-1 644 secret-1",
        "/v/secret-two/data-1 644 secret-1",
    ]


async def test_a_mapped_projection_as_another_user(api: Rest, inside: str) -> None:
    assert await _lines(api, inside, "user") == ["1000", "/v/cm/path/to/data 444 value-1"]


async def test_projected_secrets_come_change_and_go(api: Rest, inside: str, image: str) -> None:
    for name in ("changes", "goes"):
        api.create(f"{inside}/secrets", {"metadata": {"name": name}, "stringData": {"a": "1"}})
    volumes = [_projected(name, {"secret": {"name": name, "optional": True}}) for name in ("changes", "comes", "goes")]
    script = 'while true; do echo "state: $(cd /v; cat changes/a comes/a goes/a 2>&1 | tr "\\n" " ")"; sleep 0.3; done'
    api.create(f"{inside}/pods", _pod("follows", image, script, *volumes))

    async def shows(text: str) -> None:
        def shown() -> bool:
            lines = api.request("GET", f"{inside}/pods/follows/log", tailLines=1).text.splitlines()
            if not lines or lines[-1].strip() != text:
                raise NotYet(f"{lines} instead of {text!r}")
            return True

        await until(shown, timeout=120, every=0.3)

    missing = "cat: can't open '{}/a': No such file or directory"
    await shows(f"state: 1{missing.format('comes')} 1")
    api.patch(f"{inside}/secrets/changes", {"stringData": {"a": "2"}})
    api.delete(f"{inside}/secrets/goes")
    api.create(f"{inside}/secrets", {"metadata": {"name": "comes"}, "stringData": {"a": "3"}})
    await shows(f"state: 23{missing.format('goes')}")
    api.delete(f"{inside}/pods/follows", {"gracePeriodSeconds": 0})


async def test_fifty_configmaps_in_five_pods_at_once(api: Rest, inside: str, image: str) -> None:
    for number in range(MANY):
        api.create(f"{inside}/configmaps", {"metadata": {"name": f"many-{number}"}, "data": {"a": str(number)}})
    volumes = [{"name": f"n{number}", "configMap": {"name": f"many-{number}"}} for number in range(MANY)]
    for number in range(TOGETHER):
        api.create(f"{inside}/pods", _pod(f"many-{number}", image, "cat /v/*/a | tr -d '\\n' | wc -c", *volumes))
    expected = str(sum(len(str(number)) for number in range(MANY)))
    for number in range(TOGETHER):
        assert await _lines(api, inside, f"many-{number}") == [expected]
