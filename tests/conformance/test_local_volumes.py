"""Claims in real pods: they grow, are kept to their size, have one user, wait for a class; volumes are emptied and kept."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.workloads import SLEEP, container, pod
from tests.support.installation import Installation
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

VOLUMES = "/api/v1/persistentvolumes"
LOCAL = "/apis/storage.k8s.io/v1/storageclasses/local"


class Team:
    """A namespace: its pods and claims."""

    def __init__(self, api: Rest, space: str, image: str) -> None:
        self.api, self.space, self.image = api, space, image
        self.pods, self.claims = (f"/api/v1/namespaces/{space}/{each}" for each in ("pods", "persistentvolumeclaims"))

    def claim(self, name: str, size: str = "1Gi", mode: str = "ReadWriteOnce", **spec: Any) -> Document:
        asked = {"accessModes": [mode], "resources": {"requests": {"storage": size}}, **spec}
        return self.api.create(self.claims, {"metadata": {"name": name}, "spec": asked})

    def pod(self, name: str, claim: str, script: str = SLEEP, *others: Document) -> Document:
        mounts = [{"name": "data", "mountPath": "/data"}]
        volumes = [*others, {"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        return self.api.create(
            self.pods, pod(name, container(self.image, script, volumeMounts=mounts), volumes=volumes)
        )

    async def enters(self, path: str, phase: str) -> Document:
        def entered() -> bool:
            status = self.api.get(path).get("status") or {}
            if status.get("phase") != phase:
                raise NotYet(f"{path}: {status}")
            return True

        await until(entered, timeout=60)
        return self.api.get(path)

    async def told(self, name: str, reason: str, words: str, path: str = "") -> None:
        events = path or f"/api/v1/namespaces/{self.space}/events"

        def is_told() -> bool:
            found = self.api.get(events, fieldSelector=f"involvedObject.name={name}")["items"]
            said = [(each["reason"], each["message"]) for each in found]
            if not any(one == reason and words in text for one, text in said):
                raise NotYet(str(said))
            return True

        await until(is_told, timeout=60)

    async def drop(self, *paths: str) -> None:
        for path in paths:
            self.api.delete(path)
        for path in paths:
            await until(partial(self.api.missing, path), timeout=60)


@pytest.fixture
def team(api: Rest, space: str, image: str) -> Team:
    return Team(api, space, image)


async def test_a_claim_grows_under_its_pod(api: Rest, team: Team, installation: Installation) -> None:
    team.claim("grows")
    team.pod("grower", "grows")
    await team.enters(f"{team.pods}/grower", "Running")
    claim = api.get(f"{team.claims}/grows")
    api.patch(f"{team.claims}/grows", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})

    def grown() -> bool:
        status = api.get(f"{team.claims}/grows")["status"]
        if status["capacity"] != {"storage": "2Gi"}:
            raise NotYet(str(status))
        return True

    await until(grown)
    assert api.get(f"{VOLUMES}/{claim['spec']['volumeName']}")["spec"]["capacity"] == {"storage": "2Gi"}
    smaller = {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    refused = api.request("PATCH", f"{team.claims}/grows", smaller, "application/merge-patch+json").refused(422)
    assert "field can not be less than status.capacity" in refused
    api.patch(f"{team.claims}/grows", {"spec": {"resources": {"requests": {"storage": "900Ti"}}}})
    await team.told("grows", "VolumeResizeFailed", "left for volumes, and 921598Gi are asked for")
    conditions = api.get(f"{team.claims}/grows")["status"]["conditions"]
    assert [each["type"] for each in conditions] == ["ControllerResizeError"]
    assert api.get(f"{team.pods}/grower")["status"]["phase"] == "Running"
    # Deleted by hand, the volume waits for its claim, and is emptied all the same.
    volume = f"{VOLUMES}/{claim['spec']['volumeName']}"
    (folder,) = installation.data_dir.glob(f"**/claims/{claim['spec']['volumeName']}")
    assert api.delete(volume)["metadata"]["deletionTimestamp"]
    await team.drop(f"{team.pods}/grower", f"{team.claims}/grows")
    await until(partial(api.missing, volume), timeout=30)
    assert not folder.exists()


async def test_a_volume_holds_no_more_than_its_size(api: Rest, team: Team) -> None:
    team.claim("small", "1Mi")
    team.pod("filler", "small", f"dd if=/dev/zero of=/data/file bs=1M count=3; {SLEEP}")
    failed = await team.enters(f"{team.pods}/filler", "Failed")
    assert failed["status"]["reason"] == "Evicted"
    assert failed["status"]["message"].startswith('Usage of the volume of claim "small" exceeds its capacity "1Mi"')
    await team.told("small", "VolumeTooFull", "Let the claim grow")
    await team.drop(f"{team.pods}/filler", f"{team.claims}/small")


async def test_a_claim_for_one_pod_makes_the_second_wait(api: Rest, team: Team) -> None:
    team.claim("alone", mode="ReadWriteOncePod")
    team.pod("first", "alone")
    await team.enters(f"{team.pods}/first", "Running")
    team.pod("second", "alone", "true")
    await team.told("second", "FailedScheduling", "with the same name and ReadWriteOncePod access mode")
    assert api.get(f"{team.pods}/second")["status"]["phase"] == "Pending"
    api.delete(f"{team.claims}/alone")
    assert api.get(f"{team.claims}/alone")["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    await team.drop(f"{team.pods}/first")
    await until(partial(api.missing, f"{team.claims}/alone"))
    await team.told("second", "FailedScheduling", 'persistentvolumeclaim "alone" not found')
    await team.drop(f"{team.pods}/second")


async def test_a_claim_waits_for_a_class(api: Rest, team: Team) -> None:
    mark = "storageclass.kubernetes.io/is-default-class"
    api.patch(LOCAL, {"metadata": {"annotations": {mark: "false"}}})
    try:
        assert "storageClassName" not in team.claim("classless")["spec"]
        await team.told("classless", "FailedBinding", "no storage class is set")
    finally:
        api.patch(LOCAL, {"metadata": {"annotations": {mark: "true"}}})
    await until(lambda: api.get(f"{team.claims}/classless")["spec"].get("storageClassName") == "local")
    await team.drop(f"{team.claims}/classless")


async def test_a_volume_that_was_never_mounted_goes(api: Rest, team: Team) -> None:
    team.claim("unused")
    team.pod("hopeless", "unused", SLEEP, {"name": "none", "configMap": {"name": "not-there"}})
    await team.told("hopeless", "FailedMount", 'configmap "not-there" not found')
    bound = await team.enters(f"{team.claims}/unused", "Bound")
    volume = f"{VOLUMES}/{bound['spec']['volumeName']}"
    kept = {"kubernetes.io/pv-protection", "volumes.moorage.io/folder"}
    assert set(api.get(volume)["metadata"]["finalizers"]) == kept
    await team.drop(f"{team.pods}/hopeless", f"{team.claims}/unused")
    await until(partial(api.missing, volume), timeout=30)


def by_hand(name: str, folder: Path, image: str, policy: str) -> Document:
    return {
        "metadata": {"name": name, "annotations": {"volumes.moorage.io/recycler-image": image}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "persistentVolumeReclaimPolicy": policy,
            "hostPath": {"path": str(folder)},
        },
    }


async def test_what_follows_release(api: Rest, team: Team, tmp_path: Path) -> None:
    names = {policy: f"{team.space}-{policy.lower()}" for policy in ("Recycle", "Delete", "Retain")}
    for policy, name in names.items():
        (tmp_path / policy / "deep").mkdir(parents=True)
        (tmp_path / policy / ".hidden").touch()
        api.create(VOLUMES, by_hand(name, tmp_path / policy, team.image, policy))
        team.claim(name, storageClassName=name)
        await team.enters(f"{team.claims}/{name}", "Bound")
        api.delete(f"{team.claims}/{name}")
    recycled = await team.enters(f"{VOLUMES}/{names['Recycle']}", "Available")
    assert "claimRef" not in recycled["spec"]
    assert list((tmp_path / "Recycle").iterdir()) == []
    await team.told(names["Recycle"], "VolumeRecycled", "Volume recycled", "/api/v1/events")
    failed = await team.enters(f"{VOLUMES}/{names['Delete']}", "Failed")
    assert "no deletable volume plugin matched" in failed["status"]["message"]
    assert "claimRef" in (await team.enters(f"{VOLUMES}/{names['Retain']}", "Released"))["spec"]
    assert (tmp_path / "Retain" / ".hidden").exists()
    await team.drop(*(f"{VOLUMES}/{name}" for name in names.values()))
