"""Files of volumes: swapped in one step, never written outside."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from moorage_agent.objects import Snapshot
from moorage_agent.pods.fields import Facts
from moorage_agent.tokens import Wanted
from moorage_agent.volumes import memory, mounts, payload, sources
from moorage_agent.volumes.folders import Folders
from moorage_agent.volumes.payload import File
from moorage_agent.volumes.store import VolumeStore
from tests.unit.agent.documents import container, pod


def test_an_update_is_one_rename(tmp_path: Path) -> None:
    assert payload.write(tmp_path, {"a": File(b"1", 0o644), "deep/b": File(b"2", 0o600)})
    first = os.readlink(tmp_path / "..data")
    assert (tmp_path / "a").read_text() == "1"
    assert (tmp_path / "deep/b").stat().st_mode & 0o777 == 0o600
    assert not payload.write(tmp_path, {"a": File(b"1", 0o644), "deep/b": File(b"2", 0o600)})
    assert os.readlink(tmp_path / "..data") == first
    assert payload.write(tmp_path, {"a": File(b"3", 0o644)})
    assert os.readlink(tmp_path / "..data") != first
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == ["a"]
    assert (tmp_path / "a").read_text() == "3"
    assert not (tmp_path / first).exists()


def test_an_update_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    payload.write(tmp_path, {"a": File(b"1", 0o644)})
    (tmp_path / "..data_tmp").symlink_to("..nowhere")
    assert payload.write(tmp_path, {"a": File(b"2", 0o644)})
    assert (tmp_path / "a").read_text() == "2"


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "..data", ""])
def test_no_file_outside(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="must be relative"):
        payload.write(tmp_path / "v", {path: File(b"", 0o644)})


def test_nothing_is_opened_outside_a_volume(tmp_path: Path) -> None:
    (tmp_path / "v" / "in").mkdir(parents=True)
    (tmp_path / "out").write_text("x")
    (tmp_path / "v" / "up").symlink_to("../out")
    (tmp_path / "v" / "away").symlink_to("/etc")
    (tmp_path / "v" / "fine").symlink_to("in")
    root = os.open(tmp_path / "v", os.O_PATH)
    try:
        os.close(mounts.make_beneath(root, "fine/new"))
        assert (tmp_path / "v" / "in" / "new").is_dir()
        for path in ("up", "away/passwd", "../out"):
            with pytest.raises(OSError, match="Invalid cross-device link"):
                os.close(mounts.open_beneath(root, path))
    finally:
        os.close(root)


def test_removing_a_pod_takes_mounts_away_first(tmp_path: Path) -> None:
    store = VolumeStore(tmp_path / "data")
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "precious").write_text("x")
    whole = pod(
        container(volumeMounts=[{"name": "h", "mountPath": "/h", "subPath": "."}]),
        volumes=[
            {"name": "h", "hostPath": {"path": str(tmp_path / "host")}},
            {"name": "m", "emptyDir": {"medium": "Memory"}},
        ],
    )
    store.prepare(whole, Snapshot(), Facts())
    made = store.mounts_of(whole, whole["spec"]["containers"][0], 0, {})
    assert (Path(made[0].source) / "precious").read_text() == "x"
    assert len(mounts.mounted_below(tmp_path)) == 2
    store.remove("uid-web")
    assert mounts.mounted_below(tmp_path) == []
    assert not (tmp_path / "data" / "pods" / "uid-web").exists()
    assert (tmp_path / "host" / "precious").read_text() == "x"


def _token(**security: Any) -> tuple[dict[str, Any], Snapshot]:
    """A pod with its account's token, and what that is read from."""
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}
    whole = pod(volumes=[{"name": "t", "projected": {"sources": [source]}}], securityContext=security)
    return whole, Snapshot(tokens={Wanted(expiration=3607): "secret"})


def test_a_token_is_in_memory_and_for_the_pods_user(tmp_path: Path) -> None:
    whole, found = _token(runAsUser=1234)
    store = VolumeStore(tmp_path / "data")
    store.prepare(whole, found, Facts())
    file = store.path(whole, whole["spec"]["volumes"][0]) / "token"
    assert file.read_text() == "secret"
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (1234, 0o600)
    assert tmp_path / "data" / "tmpfs" in mounts.mounted_below(tmp_path)
    mounts.unmount(tmp_path / "data" / "tmpfs")


def test_many_pods_at_once_share_one_mount(tmp_path: Path) -> None:
    """A second mount on the first one would hide the tokens that are there."""
    folder = memory.place(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        for _ in range(8):
            for done in [pool.submit(memory.prepare, folder) for _ in range(16)]:
                done.result()
            assert mounts.mounted_below(folder) == [folder]
            mounts.unmount(folder)


def test_who_may_not_mount_keeps_tokens_in_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent without root's rights: a folder of its own, closed to others, in what is a tmpfs everywhere."""
    monkeypatch.setattr(memory, "SHARED", tmp_path / "shm")
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    (tmp_path / "shm").mkdir()
    whole, found = _token(runAsUser=1234, fsGroup=99)
    store = VolumeStore(tmp_path / "data")
    folder = memory.place(tmp_path / "data")
    folder.mkdir(mode=0o755)
    with pytest.raises(sources.VolumeError, match="belongs to somebody else, or is open to others"):
        store.prepare(whole, found, Facts())
    folder.rmdir()
    folder.mkdir(mode=0o700)
    os.chown(folder, 4321, -1)
    store.prepare(whole, found, Facts())
    file = store.path(whole, whole["spec"]["volumes"][0]) / "token"
    assert file.is_relative_to(folder)
    assert file.read_text() == "secret"
    assert file.stat().st_mode & 0o777 == 0o644
    data = (file.parent / "..data").readlink()
    store.refresh(whole, found, Facts())
    assert (file.parent / "..data").readlink() == data
    store.remove("uid-web")
    assert list(folder.iterdir()) == []


def test_messages_are_short_and_no_links(tmp_path: Path) -> None:
    store = VolumeStore(tmp_path)
    file = store.message_file("u", "c", 0)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 5000)
    assert len(store.message("u", "c", 0)) == 4096
    file.unlink()
    (tmp_path / "secret").write_text("hidden")
    file.symlink_to(tmp_path / "secret")
    assert store.message("u", "c", 0) == ""


def test_what_a_volume_lacks_is_named(tmp_path: Path) -> None:
    found = Snapshot({("configmap", "c"): {"kind": "ConfigMap", "data": {"a": "1"}}})
    whole = pod(volumes=[{"name": "v", "configMap": {"name": "c", "items": [{"key": "b", "path": "b"}]}}])
    with pytest.raises(sources.VolumeError) as refused:
        VolumeStore(tmp_path).prepare(whole, found, Facts())
    assert (
        str(refused.value)
        == 'MountVolume.SetUp failed for volume "v" : references non-existent configmap key: b in shop/c'
    )
    unknown = pod(volumes=[{"name": "v", "csi": {"driver": "x"}}])
    with pytest.raises(sources.VolumeError, match="driver name x not found in the list of registered CSI drivers"):
        VolumeStore(tmp_path).prepare(unknown, Snapshot(), Facts())


HANDLE = "pvc-0b9c1d2e-1111-4222-8333-444455556666"


def _folder_volume(handle: str = HANDLE, node: str = "n1") -> dict[str, Any]:
    csi = {"driver": "local.moorage.io", "volumeHandle": handle, "volumeAttributes": {"node": node}}
    return {"metadata": {"name": handle}, "spec": {"csi": csi}}


def test_a_folder_of_the_node_is_kept_until_it_is_removed(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    made = folders.make(_folder_volume(), "n1")
    assert made == tmp_path / "claims" / HANDLE
    assert made.stat().st_mode & 0o777 == 0o777
    assert made.parent.stat().st_mode & 0o077 == 0
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("x")
    (made / "link").symlink_to(tmp_path / "outside")
    (made / "file").write_text("kept")
    assert (folders.make(_folder_volume(), "n1") / "file").read_text() == "kept"
    assert folders.has(HANDLE)
    folders.remove(HANDLE)
    assert not folders.has(HANDLE)
    assert list((tmp_path / "claims").iterdir()) == []
    assert (tmp_path / "outside" / "file").read_text() == "x"


@pytest.mark.parametrize(
    ("volume", "problem"),
    [
        (_folder_volume("../../etc"), "not a name that the provisioner gives"),
        (_folder_volume(f"{HANDLE}/.."), "not a name that the provisioner gives"),
        (_folder_volume(node="n2"), 'the volume is on node "n2", and cannot be used on node "n1"'),
    ],
)
def test_no_other_folder_is_ever_made(tmp_path: Path, volume: dict[str, Any], problem: str) -> None:
    with pytest.raises(sources.VolumeError, match=problem):
        Folders(tmp_path).make(volume, "n1")
    assert list(tmp_path.iterdir()) == []
