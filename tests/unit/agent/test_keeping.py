"""Volumes that are folders of the node: how much they hold, and what becomes of them."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from moorage_agent.volumes import quota
from moorage_agent.volumes.folders import Folders
from moorage_agent.volumes.keeping import Keeping
from tests.unit.agent.documents import pod
from tests.unit.agent.rig import Rig

HANDLE = "pvc-0b9c1d2e-1111-4222-8333-444455556666"


def volume(phase: str = "Bound", node: str = "node-1", capacity: str = "1Mi", policy: str = "Delete") -> dict[str, Any]:
    return {
        "metadata": {"name": HANDLE, "uid": "volume-uid"},
        "spec": {
            "csi": {"driver": "local.moorage.io", "volumeHandle": HANDLE, "volumeAttributes": {"node": node}},
            "capacity": {"storage": capacity},
            "persistentVolumeReclaimPolicy": policy,
            "claimRef": {"namespace": "shop", "name": "data", "uid": "claim-uid"},
        },
        "status": {"phase": phase},
    }


class Ended:
    """A pod that notes why it is ended."""

    def __init__(self, claim: str, namespace: str = "shop") -> None:
        made = pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": claim}}])
        made["metadata"]["namespace"] = namespace
        self.pod: Mapping[str, Any] = made
        self.why = ""

    def condemn(self, reason: str, message: str, grace: float) -> None:
        self.why = f"{reason}: {message}"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(quota, "limit", lambda *_: False)
    return Rig(tmp_path)


async def test_pods_with_too_full_a_volume_are_ended(kept: Rig) -> None:
    user, other, elsewhere = Ended("data"), Ended("else"), Ended("data", "office")
    keeping = Keeping(kept.node, lambda: [user, other, elsewhere], interval=0.0)
    folder = kept.node.volumes.folders.make(volume(), "node-1")
    (folder / "file").write_bytes(b"x" * 512 * 1024)
    await keeping.look(volume())
    assert user.why == ""
    (folder / "file").write_bytes(b"x" * 2 * 1024 * 1024)
    keeping = Keeping(kept.node, lambda: [user, other, elsewhere])
    await keeping.look(volume())
    assert user.why == 'Evicted: Usage of the volume of claim "data" exceeds its capacity "1Mi". '
    assert (other.why, elsewhere.why) == ("", "")
    ((reason, message),) = cast("Any", kept.recorder).events
    assert reason == "VolumeTooFull"
    assert message.endswith("Let the claim grow, or remove what is not needed.")
    user.why = ""
    await Keeping(kept.node, lambda: [user]).look(volume(capacity="4Mi"))
    assert user.why == ""


async def test_a_large_folder_is_not_measured_all_the_time(kept: Rig) -> None:
    user = Ended("data")
    keeping = Keeping(kept.node, lambda: [user])
    folder = kept.node.volumes.folders.make(volume(), "node-1")
    await keeping.look(volume())
    (folder / "file").write_bytes(b"x" * 2 * 1024 * 1024)
    await keeping.look(volume())
    assert user.why == ""


async def test_a_released_folder_goes_and_its_volume_after_it(kept: Rig) -> None:
    folder = kept.node.volumes.folders.make(volume(), "node-1")
    released = volume("Released")
    kept.client.objects["persistentvolumes", HANDLE] = released
    keeping = Keeping(kept.node, list)
    await keeping.look(released)
    assert not folder.exists()
    assert kept.client.deleted == [HANDLE]


async def test_the_folder_holds_its_volume_back_until_it_is_empty(kept: Rig) -> None:
    folder = kept.node.volumes.folders.make(volume(), "node-1")
    released = volume("Released")
    released["metadata"] |= {"resourceVersion": "7", "finalizers": ["other", "volumes.moorage.io/folder"]}
    kept.client.objects["persistentvolumes", HANDLE] = released
    await Keeping(kept.node, list).look(released)
    assert not folder.exists()
    known = {"uid": "volume-uid", "resourceVersion": "7"}
    assert kept.client.patches == [(HANDLE, {"metadata": {**known, "finalizers": ["other"]}})]
    assert kept.client.deleted == [HANDLE]


async def test_a_volume_that_was_never_mounted_goes_too(kept: Rig) -> None:
    kept.client.objects["persistentvolumes", HANDLE] = volume("Released")
    await Keeping(kept.node, list).look(volume("Released"))
    assert kept.client.deleted == [HANDLE]


@pytest.mark.parametrize("live", [None, volume("Bound"), volume("Released", policy="Retain")])
async def test_what_the_api_keeps_is_kept_whatever_the_cache_says(kept: Rig, live: dict[str, Any] | None) -> None:
    folder = kept.node.volumes.folders.make(volume(), "node-1")
    if live is not None:
        kept.client.objects["persistentvolumes", HANDLE] = live
    await Keeping(kept.node, list).look(volume("Released"))
    assert folder.exists()
    assert kept.client.deleted == []


async def test_volumes_of_other_nodes_are_left_alone(kept: Rig) -> None:
    await Keeping(kept.node, list).look(volume("Released", node="node-2"))
    assert kept.client.requests == 0


class Kernel:
    """Takes notes of what it is asked, and answers as a file system with project quotas."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, project: int = 0) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._attributes = struct.pack("=IIIII8s", 0x8, 0, 0, project, 0, b"")
        monkeypatch.setattr(quota, "_quotactl", self._quotactl)
        monkeypatch.setattr(fcntl, "ioctl", self._ioctl)
        self.answer = 0

    def _quotactl(self, _descriptor: int, command: int, identity: int, limits: bytes) -> None:
        if self.answer:
            raise OSError(self.answer, os.strerror(self.answer))
        self.asked.append((command, identity, struct.unpack("=8QI4x", limits)))

    def _ioctl(self, _descriptor: int, request: int, given: bytes) -> bytes:
        if request == 0x401C5820:
            self.asked.append(struct.unpack("=IIIII8s", given)[:5])
        return self._attributes


def test_a_limit_is_the_kernels_where_it_keeps_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch)
    assert quota.limit(tmp_path, 1025, 7)
    # dqb_bhardlimit and dqb_bsoftlimit in KiB, QIF_BLIMITS; then the project, which is inherited (fsx_xflags, fsx_projid).
    assert kernel.asked == [
        (0x80000802, 7, (2, 2, 0, 0, 0, 0, 0, 0, 1)),
        (0x208, 0, 0, 7, 0),
    ]
    folders = Folders(tmp_path)
    kernel.asked.clear()
    folders.make(volume(), "node-1")
    assert folders.limit(HANDLE, 2**20)
    assert [each[0] for each in kernel.asked] == [0x80000802, 0x208]
    assert folders.limit(HANDLE, 2**21)
    assert kernel.asked[2][2][0] == 2048


@pytest.mark.parametrize("number", [errno.ESRCH, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM])
def test_where_nobody_keeps_limits_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    kernel = Kernel(monkeypatch)
    kernel.answer = number
    assert not quota.limit(tmp_path, 1024, 7)
    kernel.answer = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        quota.limit(tmp_path, 1024, 7)
    assert not kernel.asked


def test_projects_of_folders_are_far_from_those_of_engines() -> None:
    numbers = {quota.project_of(f"pvc-{each}") for each in range(1000)}
    assert len(numbers) == 1000
    assert all(2**30 <= each < 2**31 for each in numbers)
