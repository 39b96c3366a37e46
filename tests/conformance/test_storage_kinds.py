"""Operations on what CSI drivers and device drivers keep in the API: their own kinds, and pods that name a driver."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.support.rest import STRATEGIC, Document, Rest
from tests.support.wait import until

CLAIM = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpus.example.com"}}]}}
ALLOCATED = {
    "allocation": {
        "devices": {"results": [{"request": "gpu", "driver": "e2e.example.com", "pool": "here", "device": "gpu-0"}]}
    }
}


class Kind(NamedTuple):
    """A kind, its group, and what an object of it needs."""

    group: str
    plural: str
    body: dict[str, Any]
    namespaced: bool = False


KINDS = [
    Kind("storage.k8s.io", "csidrivers", {"spec": {"attachRequired": False, "volumeLifecycleModes": ["Ephemeral"]}}),
    Kind("storage.k8s.io", "csinodes", {"spec": {"drivers": [{"name": "e2e.example.com", "nodeID": "here"}]}}),
    Kind("storage.k8s.io", "csistoragecapacities", {"storageClassName": "e2e", "capacity": "1Gi"}, namespaced=True),
    Kind(
        "storage.k8s.io",
        "volumeattachments",
        {"spec": {"attacher": "e2e.example.com", "nodeName": "gone", "source": {"persistentVolumeName": "none"}}},
    ),
    Kind("resource.k8s.io", "deviceclasses", {"spec": {"selectors": [{"cel": {"expression": "true"}}]}}),
    Kind("resource.k8s.io", "resourceclaims", {"spec": CLAIM}, namespaced=True),
    Kind("resource.k8s.io", "resourceclaimtemplates", {"spec": {"spec": CLAIM}}, namespaced=True),
    Kind(
        "resource.k8s.io",
        "resourceslices",
        {
            "spec": {
                "driver": "e2e.example.com",
                "allNodes": True,
                "pool": {"name": "here", "resourceSliceCount": 1, "generation": 1},
                "devices": [{"name": "gpu-0", "attributes": {"model": {"string": "A"}}}],
            }
        },
    ),
]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.plural for kind in KINDS])
def test_operations(api: Rest, space: str, kind: Kind) -> None:
    assert kind.group in {group["name"] for group in api.get("/apis")["groups"]}
    resources = {each["name"]: each for each in api.get(f"/apis/{kind.group}/v1")["resources"]}
    assert set(resources[kind.plural]["verbs"]) >= {"create", "delete", "deletecollection", "patch", "update", "watch"}
    path = f"/apis/{kind.group}/v1{f'/namespaces/{space}' if kind.namespaced else ''}/{kind.plural}"
    names, selector = [f"{space}-{number}" for number in range(3)], f"space={space}"
    for name in names:
        api.create(path, {"metadata": {"name": name, "labels": {"space": space}}, **kind.body})
    own = f"{path}/{names[0]}"
    assert api.names(path, labelSelector=selector) == names
    if kind.namespaced:
        assert names[0] in api.names(f"/apis/{kind.group}/v1/{kind.plural}", labelSelector=selector)
    listed = api.get(path, labelSelector=selector)
    with api.watch(path, labelSelector=selector, resourceVersion=listed["metadata"]["resourceVersion"]) as events:
        patched = api.patch(own, {"metadata": {"labels": {"patched": "yes"}}}, STRATEGIC)
        assert patched["metadata"]["labels"] == {"space": space, "patched": "yes"}
        updated = api.replace(own, {**patched, "metadata": {**patched["metadata"], "annotations": {"updated": "yes"}}})
        assert updated["metadata"]["annotations"]["updated"] == "yes"
        api.delete(own)
        assert [next(events)[0] for _ in range(3)] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert api.missing(own)
    api.delete(path, labelSelector=selector)
    assert api.names(path, labelSelector=selector) == []


def test_the_status_of_an_attachment(api: Rest, space: str) -> None:
    path = "/apis/storage.k8s.io/v1/volumeattachments"
    spec = {"attacher": "e2e.example.com", "nodeName": "gone", "source": {"persistentVolumeName": "none"}}
    api.create(path, {"metadata": {"name": space}, "spec": spec, "status": {"attached": True}})
    own = f"{path}/{space}"
    assert api.patch(own, {"metadata": {"labels": {"patched": "yes"}}}, STRATEGIC)["metadata"]["labels"]
    assert api.get(f"{own}/status")["status"] == {"attached": False}
    assert api.patch(f"{own}/status", {"status": {"attached": True}}, STRATEGIC)["status"]["attached"] is True
    read = api.get(f"{own}/status")
    assert api.replace(f"{own}/status", {**read, "status": {"attached": False}})["status"]["attached"] is False
    assert "spec: Invalid value" in api.request("PATCH", own, {"spec": {"nodeName": "other"}}, STRATEGIC).refused(422)
    api.delete(own)
    assert api.missing(own)


def test_the_status_of_a_claim_of_devices(api: Rest, space: str) -> None:
    path = f"/apis/resource.k8s.io/v1/namespaces/{space}/resourceclaims"
    api.create(path, {"metadata": {"name": "status"}, "spec": CLAIM})
    own = f"{path}/status"
    user = {"resource": "pods", "name": "p", "uid": "7b0c2f7e-2a5d-4a43-8d5c-0f6f5c6f3a10"}
    refused = api.request("PATCH", f"{own}/status", {"status": {"reservedFor": [user]}}, STRATEGIC).refused(422)
    assert "may not be specified when `allocated` is not set" in refused
    allocated = api.patch(f"{own}/status", {"status": {**ALLOCATED, "reservedFor": [user]}}, STRATEGIC)
    assert allocated["status"] == {**ALLOCATED, "reservedFor": [user]}
    read = api.get(f"{own}/status")
    freed = api.replace(f"{own}/status", {**read, "status": {}})
    assert not freed.get("status")
    assert "spec: Invalid value" in api.request("PATCH", own, {"spec": {"devices": None}}, STRATEGIC).refused(422)
    api.delete(own)


def test_the_tables(api: Rest, space: str) -> None:
    form = "application/json;as=Table;v=v1;g=meta.k8s.io"
    shown = {
        ("storage.k8s.io", "csidrivers"): (
            "Name AttachRequired PodInfoOnMount StorageCapacity TokenRequests RequiresRepublish Modes Age"
        ),
        ("storage.k8s.io", "csinodes"): "Name Drivers Age",
        ("storage.k8s.io", "csistoragecapacities"): "Name StorageClassName Capacity",
        ("storage.k8s.io", "volumeattachments"): "Name Attacher PV Node Attached Age",
        ("resource.k8s.io", "deviceclasses"): "Name Age",
        ("resource.k8s.io", "resourceclaims"): "Name State Age",
        ("resource.k8s.io", "resourceslices"): "Name Node Driver Pool Age",
    }
    for (group, plural), columns in shown.items():
        table = api.request("GET", f"/apis/{group}/v1/{plural}", accept=form).ok()
        assert " ".join(column["name"] for column in table["columnDefinitions"]) == columns


def pod(name: str) -> Document:
    source = {"driver": "e2e-inline.example.com", "readOnly": True, "volumeAttributes": {"a": "b"}}
    mounts = [{"name": "inline", "mountPath": "/inline"}]
    return {
        "metadata": {"name": name, "labels": {"inline": "yes"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "none.example.com/none:1", "volumeMounts": mounts}],
            "volumes": [{"name": "inline", "csi": source}],
        },
    }


@pytest.mark.docker
async def test_pods_with_inline_volumes(api: Rest, space: str) -> None:
    pods = f"/api/v1/namespaces/{space}/pods"
    made = api.create(pods, pod("inline"))
    assert made["spec"]["volumes"][0]["csi"]["driver"] == "e2e-inline.example.com"
    assert api.get(f"{pods}/inline")["spec"]["volumes"][0]["csi"]["volumeAttributes"] == {"a": "b"}
    assert api.names(pods, labelSelector="inline=yes") == ["inline"]
    assert (
        api.patch(f"{pods}/inline", {"metadata": {"labels": {"p": "q"}}}, STRATEGIC)["metadata"]["labels"]["p"] == "q"
    )

    def told() -> bool:
        events = api.get(f"/api/v1/namespaces/{space}/events")["items"]
        return any("not found in the list of registered CSI drivers" in event["message"] for event in events)

    await until(told)
    api.delete(f"{pods}/inline")
    await until(partial(api.missing, f"{pods}/inline"))
    assert "csi.driver: Required value" in (
        api.request(
            "POST", pods, {**pod("x"), "spec": {**pod("x")["spec"], "volumes": [{"name": "inline", "csi": {}}]}}
        ).refused(422)
    )
