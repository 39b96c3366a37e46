"""Files of volumes: swapped in one step, never written outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage_agent.objects import Snapshot
from moorage_agent.pods.fields import Facts
from moorage_agent.volumes import mounts, payload, sources
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
    with pytest.raises(sources.VolumeError, match="csi are not supported by this node"):
        VolumeStore(tmp_path).prepare(unknown, Snapshot(), Facts())
