"""FlowSchemas and PriorityLevelConfigurations as objects: discovery, every verb, status. (What they do is tested elsewhere.)"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.rest import Document, Rest
from tests.support.wait import until

pytestmark = pytest.mark.docker

GROUP = "flowcontrol.apiserver.k8s.io"
V1 = f"/apis/{GROUP}/v1"
VERBS = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
SPECS: dict[str, dict[str, Any]] = {
    "prioritylevelconfigurations": {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}},
    },
    "flowschemas": {
        "matchingPrecedence": 10000,
        "priorityLevelConfiguration": {"name": "global-default"},
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [
            {
                "subjects": [{"kind": "User", "user": {"name": "nobody-at-all"}}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }
        ],
    },
}
_numbers = itertools.count(1)


@pytest.fixture(params=sorted(SPECS))
def plural(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def label(api: Rest, plural: str) -> Iterator[str]:
    value = f"fc-{next(_numbers)}"
    yield value
    api.delete(f"{V1}/{plural}", labelSelector=f"e2e={value}")


def made(plural: str, label: str, name: str) -> Document:
    return {"metadata": {"name": f"{label}-{name}", "labels": {"e2e": label}}, "spec": SPECS[plural]}


async def settled(api: Rest, path: str) -> None:
    """Wait until the server has said of a new FlowSchema whether its level is there: it writes that at any moment."""

    def said() -> bool:
        conditions = api.get(path).get("status", {}).get("conditions", [])
        return "flowschemas" not in path or any(each["type"] == "Dangling" for each in conditions)

    await until(said, timeout=30)


async def test_the_installation_keeps_its_levels(api: Rest) -> None:
    """A server that never read them would let everything run at once, and say nothing."""

    def told() -> bool:
        metrics = api.request("GET", "/metrics").text
        names = {each["metadata"]["name"] for each in api.get(f"{V1}/prioritylevelconfigurations")["items"]} - {
            "exempt"
        }
        return all(f'moorage_flow_requests_running{{priority_level="{name}"}}' in metrics for name in names)

    await until(told, timeout=30)


def test_discovery(api: Rest, plural: str) -> None:
    [group] = [each for each in api.get("/apis")["groups"] if each["name"] == GROUP]
    assert {"groupVersion": f"{GROUP}/v1", "version": "v1"} in group["versions"]
    assert {"groupVersion": f"{GROUP}/v1", "version": "v1"} in api.get(f"/apis/{GROUP}")["versions"]
    served = {each["name"]: each for each in api.get(V1)["resources"]}
    assert set(served[plural]["verbs"]) == VERBS
    assert set(served[f"{plural}/status"]["verbs"]) == {"get", "patch", "update"}
    assert served[plural]["namespaced"] is False


async def test_life(api: Rest, plural: str, label: str) -> None:
    path, name = f"{V1}/{plural}", f"{label}-one"
    before = api.get(path, labelSelector=f"e2e={label}")
    with api.watch(path, labelSelector=f"e2e={label}", resourceVersion=before["metadata"]["resourceVersion"]) as events:
        created = api.create(path, made(plural, label, "one"))
        assert created["metadata"]["name"] == name
        assert api.get(f"{path}/{name}")["metadata"]["uid"] == created["metadata"]["uid"]
        assert api.names(path, labelSelector=f"e2e={label}") == [name]
        await settled(api, f"{path}/{name}")
        patched = api.patch(f"{path}/{name}", {"metadata": {"annotations": {"patched": "yes"}}})
        assert patched["metadata"]["annotations"]["patched"] == "yes"
        read = api.get(f"{path}/{name}")
        read["metadata"]["annotations"]["updated"] = "yes"
        assert api.replace(f"{path}/{name}", read)["metadata"]["annotations"]["updated"] == "yes"
        api.delete(f"{path}/{name}")
        seen: list[str] = []
        for kind, document in events:
            if not seen or kind != seen[-1]:
                seen.append(kind)
            assert document["metadata"]["name"] == name
            if kind == "DELETED":
                break
        assert seen == ["ADDED", "MODIFIED", "DELETED"]
    assert api.missing(f"{path}/{name}")


async def test_status(api: Rest, plural: str, label: str) -> None:
    path = f"{V1}/{plural}/{label}-one"
    api.create(f"{V1}/{plural}", made(plural, label, "one"))
    await settled(api, path)
    condition = {"type": "Tested", "status": "False", "reason": "Patched", "message": "by a test"}
    patched = api.patch(f"{path}/status", {"status": {"conditions": [condition]}})
    assert [each["reason"] for each in patched["status"]["conditions"] if each["type"] == "Tested"] == ["Patched"]
    spec = api.get(path)["spec"]

    def update(read: Document) -> None:
        read["status"]["conditions"] = [{**condition, "reason": "Updated"}]

    assert api.change(f"{path}/status", update)["status"]["conditions"][0]["reason"] == "Updated"
    assert api.get(path)["spec"] == spec


def test_a_collection_is_deleted(api: Rest, plural: str, label: str) -> None:
    for name in ("a", "b"):
        api.create(f"{V1}/{plural}", made(plural, label, name))
    api.delete(f"{V1}/{plural}", labelSelector=f"e2e={label}")
    assert api.names(f"{V1}/{plural}", labelSelector=f"e2e={label}") == []
    assert "global-default" in api.names(f"{V1}/prioritylevelconfigurations")
