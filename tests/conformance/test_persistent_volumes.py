"""PersistentVolumes, claims and their classes as objects: life, status, tables. (That pods can use them is tested elsewhere.)"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.kubectl import Kubectl
from tests.support.rest import STRATEGIC, Document, Rest
from tests.support.wait import throughout, until

pytestmark = pytest.mark.docker

VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
ATTRIBUTES = "/apis/storage.k8s.io/v1/volumeattributesclasses"
_numbers = itertools.count(1)


@pytest.fixture
def name(api: Rest) -> Iterator[str]:
    made = f"pv-{next(_numbers)}"
    yield made
    api.delete(VOLUMES, labelSelector=f"e2e={made}")


@pytest.fixture
def claims(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"


def volume(name: str, label: str, **more: Any) -> Document:
    return {
        "metadata": {"name": name, "labels": {"e2e": label}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": f"none-{label}",
            "csi": {"driver": "e2e.example.com", "volumeHandle": name},
            **more,
        },
    }


def claim(name: str, label: str, **more: Any) -> Document:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": f"none-{label}",
        "selector": {"matchLabels": {"nothing": "matches"}},
        "resources": {"requests": {"storage": "1Gi"}},
        **more,
    }
    return {"metadata": {"name": name, "labels": {"e2e": label}}, "spec": spec}


async def test_life(api: Rest, name: str, claims: str) -> None:
    api.create(VOLUMES, volume(name, name))
    api.create(claims, claim("data", name))
    assert api.names(VOLUMES, labelSelector=f"e2e={name}") == [name]
    assert api.names(claims) == ["data"]
    for path in (f"{VOLUMES}/{name}", f"{claims}/data"):
        patched = api.patch(path, {"metadata": {"labels": {"patched": "yes"}}}, STRATEGIC)
        assert patched["metadata"]["labels"] == {"e2e": name, "patched": "yes"}
        assert api.get(path)["metadata"]["uid"] == patched["metadata"]["uid"]
        api.delete(path)
        await until(partial(api.missing, path))
    api.create(VOLUMES, volume(f"{name}-again", name))
    api.create(claims, claim("again", name))
    for path in (f"{VOLUMES}/{name}-again", f"{claims}/again"):

        def update(path: str = path) -> bool:
            read = api.get(path)
            read["metadata"]["labels"]["updated"] = "yes"
            return api.request("PUT", path, read).code == 200

        await until(update)
    api.delete(claims, labelSelector="updated=yes")
    api.delete(VOLUMES, labelSelector=f"e2e={name},updated=yes")
    await until(lambda: api.names(claims) == [] and api.names(VOLUMES, labelSelector=f"e2e={name}") == [])


async def test_status(api: Rest, name: str, claims: str) -> None:
    api.create(VOLUMES, volume(name, name))
    api.create(claims, claim("data", name))
    assert api.get(f"{claims}/data/status")["status"]["phase"] == "Pending"
    assert api.get(f"{VOLUMES}/{name}/status")["status"]["phase"] in ("Pending", "Available")
    condition = {"type": "StatusPatched", "status": "True", "reason": "E2E", "message": "set by a test"}
    patched = api.patch(f"{claims}/data/status", {"status": {"conditions": [condition]}}, STRATEGIC)
    assert patched["status"]["conditions"][0]["type"] == "StatusPatched"
    said = api.patch(f"{VOLUMES}/{name}/status", {"status": {"message": "patched", "reason": "E2E"}})
    assert (said["status"]["message"], said["status"]["reason"]) == ("patched", "E2E")

    def update(path: str, change: Document) -> bool:
        read = api.get(f"{path}/status")
        read["status"].update(change)
        return api.request("PUT", f"{path}/status", read).code == 200

    await until(lambda: update(f"{claims}/data", {"conditions": [{**condition, "type": "StatusUpdated"}]}))
    assert api.get(f"{claims}/data")["status"]["conditions"][0]["type"] == "StatusUpdated"
    await until(lambda: update(f"{VOLUMES}/{name}", {"message": "updated"}))
    assert api.get(f"{VOLUMES}/{name}")["status"]["message"] == "updated"


async def test_what_may_not_change(api: Rest, name: str, claims: str) -> None:
    api.create(VOLUMES, volume(name, name))
    source = {"spec": {"csi": {"driver": "e2e.example.com", "volumeHandle": "other"}}}
    assert "spec.persistentvolumesource is immutable after creation" in (
        api.request("PATCH", f"{VOLUMES}/{name}", source, STRATEGIC).refused(422)
    )
    api.create(claims, claim("data", name))
    grown = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    assert "spec: Forbidden: spec is immutable after creation except resources.requests" in (
        api.request("PATCH", f"{claims}/data", grown, STRATEGIC).refused(422)
    )


async def test_kubectl_shows_them(api: Rest, name: str, claims: str, kubectl: Kubectl) -> None:
    api.create(VOLUMES, volume(name, name))
    api.create(claims, claim("data", name))
    header, row = kubectl("get", "pv", name, "-o", "wide").splitlines()
    assert " ".join(header.split()) == (
        "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE VOLUMEMODE"
    )
    assert row.split()[:4] == [name, "1Gi", "RWO", "Retain"]
    assert row.split()[-1] == "Filesystem"
    header, row = kubectl("get", "pvc", "data").splitlines()
    assert " ".join(header.split()) == (
        "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE"
    )
    assert row.split()[:4] == ["data", "Pending", f"none-{name}", "<unset>"]
    assert "Access Modes:    RWO" in kubectl("describe", "pv", name)


async def test_storage_classes(api: Rest, name: str, kubectl: Kubectl) -> None:
    labels = {"e2e": name}
    made = api.create(CLASSES, {"metadata": {"name": name, "labels": labels}, "provisioner": "e2e.example.com"})
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")
    patched = api.patch(f"{CLASSES}/{name}", {"metadata": {"labels": {"patched": "yes"}}}, STRATEGIC)
    assert patched["metadata"]["labels"] == {**labels, "patched": "yes"}
    refused = api.request("PATCH", f"{CLASSES}/{name}", {"reclaimPolicy": "Retain"}, STRATEGIC).refused(422)
    assert "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden." in refused
    header, row = kubectl("get", "sc", name).splitlines()
    assert header.split() == [
        "NAME", "PROVISIONER", "RECLAIMPOLICY", "VOLUMEBINDINGMODE", "ALLOWVOLUMEEXPANSION", "AGE",
    ]  # fmt: skip
    assert row.split()[1:5] == ["e2e.example.com", "Delete", "Immediate", "false"]
    api.delete(CLASSES, labelSelector=f"e2e={name}")
    assert api.missing(f"{CLASSES}/{name}")


async def test_volume_attributes_classes(api: Rest, name: str) -> None:
    labels = {"e2e": name}
    body = {"metadata": {"name": name, "labels": labels}, "driverName": "e2e.example.com", "parameters": {"iops": "1"}}
    with api.watch(ATTRIBUTES, labelSelector=f"e2e={name}") as events:
        api.create(ATTRIBUTES, body)
        assert next(events)[0] == "ADDED"
        api.patch(f"{ATTRIBUTES}/{name}", {"metadata": {"labels": {"patched": "yes"}}}, STRATEGIC)
        assert next(events)[1]["metadata"]["labels"]["patched"] == "yes"
        read = api.get(f"{ATTRIBUTES}/{name}")
        read["metadata"]["labels"]["updated"] = "yes"
        api.replace(f"{ATTRIBUTES}/{name}", read)
        assert next(events)[1]["metadata"]["labels"]["updated"] == "yes"
        refused = api.request("PUT", f"{ATTRIBUTES}/{name}", {**read, "driverName": "x.example.com"})
        assert refused.code in (409, 422)
        assert read["metadata"]["finalizers"] == ["kubernetes.io/vac-protection"]
        api.delete(ATTRIBUTES, labelSelector=f"e2e={name}")
        assert [next(events)[0] for _ in range(2)] in (["MODIFIED", "DELETED"], ["MODIFIED", "MODIFIED"])
    await until(partial(api.missing, f"{ATTRIBUTES}/{name}"))


async def test_a_claim_in_use_goes_with_its_last_pod(api: Rest, namespace: str, name: str, claims: str) -> None:
    made = api.create(claims, claim("used", name))
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {
        "containers": [{"name": "main", "image": "none.local/x:1"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "used"}}],
        "nodeName": "nowhere",
        "schedulerName": "nobody",
    }
    api.create(pods, {"metadata": {"name": "user"}, "spec": spec})
    assert api.delete(f"{claims}/used")["metadata"]["deletionTimestamp"]
    await throughout(lambda: api.get(f"{claims}/used") is not None, seconds=1.0)
    api.delete(f"{pods}/user", gracePeriodSeconds="0")
    await until(partial(api.missing, f"{claims}/used"))


async def test_a_bound_volume_goes_when_it_is_released(api: Rest, name: str, claims: str) -> None:
    path = f"{VOLUMES}/{name}"
    assert api.create(VOLUMES, volume(name, name))["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    api.create(claims, claim("holder", name, selector=None))
    await until(lambda: api.get(path)["status"]["phase"] == "Bound")
    api.delete(path)
    await throughout(lambda: api.get(path) is not None, seconds=1.0)
    api.delete(f"{claims}/holder")
    await until(partial(api.missing, path))
