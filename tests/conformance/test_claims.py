"""PersistentVolumeClaims in pods: bound to volumes, mounted, what was written outlives the pod, and what follows release."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.workloads import container, pod
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

VOLUMES = "/api/v1/persistentvolumes"


@pytest.fixture
def name(api: Rest, space: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """What a test's volumes are called, and their class. They go with the test."""
    made = f"{space}-{request.node.name.removeprefix('test_').replace('_', '-')}"[:60].rstrip("-")
    yield made
    api.delete(VOLUMES, labelSelector=f"e2e={made}")


def volume(name: str, folder: Path, kind: str = "hostPath", **more: Any) -> Document:
    return {
        "metadata": {"name": name, "labels": {"e2e": name}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            kind: {"path": str(folder)},
            **more,
        },
    }


def claim(name: str, class_name: str, **more: Any) -> Document:
    asked = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": class_name, "resources": asked, **more}
    return {"metadata": {"name": name}, "spec": spec}


def user(name: str, image: str, script: str, claim_name: str, *, read_only: bool = False, **mount: Any) -> Document:
    mounted = {"name": "data", "mountPath": "/data", **mount}
    source = {"claimName": claim_name, "readOnly": read_only}
    return pod(
        name,
        container(image, script, volumeMounts=[mounted]),
        volumes=[{"name": "data", "persistentVolumeClaim": source}],
    )


async def _said(api: Rest, pods: str, name: str) -> str:
    """What a pod printed, once it has ended."""

    def ended() -> bool:
        status = api.get(f"{pods}/{name}")["status"]
        if status["phase"] not in {"Succeeded", "Failed"}:
            raise NotYet(f"{name}: {status}")
        return True

    await until(ended, timeout=90, every=0.1)
    return api.request("GET", f"{pods}/{name}/log", container="main").text.strip()


async def _enters(api: Rest, path: str, phase: str) -> Document:
    def entered() -> bool:
        document = api.get(path)
        if document["status"].get("phase") != phase:
            raise NotYet(f"{path}: {document['status']}")
        return True

    await until(entered, timeout=30)
    return api.get(path)


async def test_data_outlives_the_pod(api: Rest, space: str, image: str, name: str, tmp_path: Path) -> None:
    inside = f"/api/v1/namespaces/{space}"
    pods, claims = f"{inside}/pods", f"{inside}/persistentvolumeclaims"
    api.create(VOLUMES, volume(name, tmp_path))
    await _enters(api, f"{VOLUMES}/{name}", "Available")
    api.create(claims, claim("kept", name))
    bound = await _enters(api, f"{claims}/kept", "Bound")
    assert bound["spec"]["volumeName"] == name
    assert bound["status"]["capacity"] == {"storage": "1Gi"}
    assert bound["status"]["accessModes"] == ["ReadWriteOnce"]
    assert bound["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
    held = (await _enters(api, f"{VOLUMES}/{name}", "Bound"))["spec"]["claimRef"]
    assert (held["namespace"], held["name"], held["uid"]) == (space, "kept", bound["metadata"]["uid"])

    api.create(pods, user("writer", image, "mkdir /data/sub; echo kept > /data/sub/file", "kept"))
    await _said(api, pods, "writer")
    api.delete(f"{pods}/writer")
    await until(partial(api.missing, f"{pods}/writer"), timeout=30)
    script = "cat /data/file; touch /data/other 2>&1"
    api.create(pods, user("reader", image, script, "kept", read_only=True, subPath="sub"))
    said = await _said(api, pods, "reader")
    assert said.startswith("kept")
    assert "Read-only file system" in said

    api.delete(f"{pods}/reader")
    api.delete(f"{claims}/kept")
    await until(partial(api.missing, f"{claims}/kept"), timeout=30)
    await _enters(api, f"{VOLUMES}/{name}", "Released")
    assert (tmp_path / "sub" / "file").read_text() == "kept\n"


async def test_a_claim_of_the_default_class_gets_a_folder_of_its_node(api: Rest, space: str, image: str) -> None:
    inside = f"/api/v1/namespaces/{space}"
    pods, claims = f"{inside}/pods", f"{inside}/persistentvolumeclaims"
    body = claim("made", "")
    del body["spec"]["storageClassName"]
    assert api.create(claims, body)["spec"]["storageClassName"] == "local"
    api.create(pods, user("first", image, "echo mine > /data/file", "made"))
    await _said(api, pods, "first")
    bound = api.get(f"{claims}/made")
    made = f"{VOLUMES}/{bound['spec']['volumeName']}"
    document = api.get(made)
    assert document["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    assert document["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert document["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]
    api.create(pods, user("second", image, "cat /data/file", "made"))
    assert await _said(api, pods, "second") == "mine"
    for name in ("first", "second"):
        api.delete(f"{pods}/{name}")
    api.delete(f"{claims}/made")
    await until(partial(api.missing, made), timeout=60)


async def test_a_volume_goes_to_the_claim_that_it_is_made_for(api: Rest, space: str, name: str, tmp_path: Path) -> None:
    claims = f"/api/v1/namespaces/{space}/persistentvolumeclaims"
    api.create(VOLUMES, volume(name, tmp_path, claimRef={"namespace": space, "name": "awaited"}))
    api.create(claims, claim("hopeful", name))
    await _enters(api, f"{VOLUMES}/{name}", "Available")
    api.create(claims, claim("awaited", name))
    assert (await _enters(api, f"{claims}/awaited", "Bound"))["spec"]["volumeName"] == name
    assert "volumeName" not in (await _enters(api, f"{claims}/hopeful", "Pending"))["spec"]
    api.delete(f"{claims}/awaited")
    await _enters(api, f"{VOLUMES}/{name}", "Released")
    again = api.patch(f"{VOLUMES}/{name}", {"spec": {"claimRef": None}})
    assert "claimRef" not in again["spec"]
    assert (await _enters(api, f"{claims}/hopeful", "Bound"))["spec"]["volumeName"] == name


async def test_a_link_in_a_volume_leads_nowhere_else(
    api: Rest, space: str, image: str, name: str, tmp_path: Path
) -> None:
    inside = f"/api/v1/namespaces/{space}"
    folder = tmp_path / "volume"
    folder.mkdir()
    (tmp_path / "hidden").mkdir()
    (folder / "way-out").symlink_to(tmp_path / "hidden")
    api.create(VOLUMES, volume(name, folder))
    api.create(f"{inside}/persistentvolumeclaims", claim("linked", name))
    api.create(f"{inside}/pods", user("climber", image, "ls /data", "linked", subPath="way-out"))

    def told() -> bool:
        events = api.get(f"{inside}/events", fieldSelector="involvedObject.name=climber")["items"]
        texts = [each["message"] for each in events]
        if not any("failed to prepare subPath" in text for text in texts):
            raise NotYet(str(texts))
        return True

    await until(told, timeout=60)
    assert api.get(f"{inside}/pods/climber")["status"]["phase"] == "Pending"
    api.delete(f"{inside}/pods/climber", {"gracePeriodSeconds": 0})
