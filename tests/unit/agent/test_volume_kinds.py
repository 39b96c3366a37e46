"""Kinds of volumes up to the system call: NFS, memory, huge pages, paths of the host, parts of volumes, locked mounts."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moorage_agent.node import machine
from moorage_agent.objects import Snapshot
from moorage_agent.pods.fields import Facts
from moorage_agent.volumes import claims, empty, host, mounts, nfs, payload, places, sources
from moorage_agent.volumes.payload import File
from moorage_agent.volumes.sources import VolumeError
from moorage_agent.volumes.store import VolumeStore
from tests.support.wait import until
from tests.unit.agent.documents import container, pod
from tests.unit.agent.rig import Rig

Call = tuple[str, Path, str, int, str]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """What mount(2) would be called with."""
    made: list[Call] = []
    monkeypatch.setattr(mounts, "mount", lambda *arguments: made.append(arguments))
    return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of somebody who accepts connections, whatever the server is called."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
        yield port


def test_an_export_is_mounted_by_the_kernel(tmp_path: Path, calls: list[Call], server: int) -> None:
    options = [f"port={server}", "nfsvers=4.1", "noexec", "rw", "timeo=50", "noatime"]
    nfs.mount("store.example.com", "/data", tmp_path / "v", read_only=True, options=options)
    data = f"vers=4.1,port={server},timeo=50,addr=127.0.0.1"
    flags = mounts.MS_RDONLY | mounts.MS_NOEXEC | 1024
    assert calls == [("store.example.com:/data", tmp_path / "v", "nfs4", flags, data)]


def test_a_claim_bound_to_an_export_is_mounted_and_not_given_away(
    tmp_path: Path, calls: list[Call], server: int
) -> None:
    spec = {"nfs": {"server": "s", "path": "/p"}, "mountOptions": [f"port={server}"]}
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    place = tmp_path / "v"
    claims.mount({"spec": spec}, volume, place, 77, False, folders=VolumeStore(tmp_path).folders, node="n1")
    assert [each[0] for each in calls] == ["s:/p"]
    assert place.stat().st_gid != 77


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["vers=3"], "this node mounts NFS version 4 only"),
        (["soft,addr=10.0.0.1"], "each option is an item of its own"),
        (["a\nb"], "each option is an item of its own"),
    ],
)
def test_options_that_are_refused(tmp_path: Path, calls: list[Call], options: list[str], words: str) -> None:
    with pytest.raises(VolumeError, match=words):
        nfs.mount("s", "/p", tmp_path / "v", read_only=False, options=options)
    assert not calls


def test_a_server_that_does_not_answer_is_named(tmp_path: Path, calls: list[Call]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port, words = closed.getsockname()[1], "the server does not answer on port"
        with pytest.raises(VolumeError, match=rf"mounting NFS 127\.0\.0\.1:/p: {words} {port}"):
            nfs.mount("127.0.0.1", "/p", tmp_path / "v", read_only=False, options=[f"port={port}"])
    assert not calls


def test_a_kernel_without_nfs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: int) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(mounts, "mount", refuse)
    with pytest.raises(VolumeError, match="mounting NFS s:/p: this kernel has no NFS"):
        nfs.mount("s", "/p", tmp_path / "v", read_only=False, options=[f"port={server}"])


def with_memory(*limits: str | None) -> dict[str, Any]:
    return pod(
        *(container(f"c{n}", resources={"limits": {"memory": one}} if one else {}) for n, one in enumerate(limits))
    )


@pytest.mark.parametrize(
    ("limits", "size", "node", "expected"),
    [
        ((None,), "", 2**30, 2**30),
        (("64Mi", "64Mi"), "", 2**30, 2**27),
        (("64Mi", None), "16Mi", 2**30, 2**24),
        ((None,), "2Gi", 2**30, 2**30),
        ((None,), "1Mi", 0, 2**20),
        ((None,), "", 0, 0),
    ],
)
def test_memory_that_a_volume_may_take(
    tmp_path: Path, calls: list[Call], limits: tuple[str | None, ...], size: str, node: int, expected: int
) -> None:
    spec = {"medium": "Memory", **({"sizeLimit": size} if size else {})}
    empty.make(tmp_path / "v", with_memory(*limits), spec, None, node)
    ((_, _, kind, _, options),) = calls
    assert kind == "tmpfs"
    assert options == "mode=777" + (f",size={expected}" if expected else "")


def with_pages(*names: str) -> dict[str, Any]:
    return pod(container(resources={"limits": {f"hugepages-{name}": "4Mi" for name in names}}))


@pytest.mark.parametrize(
    ("medium", "names", "options"),
    [
        ("HugePages", ("2Mi",), "pagesize=2097152"),
        ("HugePages-1Gi", ("2Mi", "1Gi"), "pagesize=1073741824"),
        ("HugePages", ("2Mi", "1Gi"), "ask for hugepages-1Gi, hugepages-2Mi"),
        ("HugePages", (), "ask for none"),
        ("HugePages-1Gi", ("2Mi",), "no container of the pod asks for hugepages-1Gi"),
        ("Tape", (), 'unknown storage medium "Tape"'),
    ],
)
def test_huge_pages(tmp_path: Path, calls: list[Call], medium: str, names: tuple[str, ...], options: str) -> None:
    refused = contextlib.nullcontext() if options.startswith("pagesize") else pytest.raises(VolumeError, match=options)
    with refused:
        empty.make(tmp_path / "v", with_pages(*names), {"medium": medium}, None, 2**30)
        assert [each[2:] for each in calls] == [("hugetlbfs", 0, options)]


def test_huge_pages_of_the_machine(tmp_path: Path) -> None:
    for name, count in (("2048kB", 3), ("1048576kB", 1), ("64kB", 0)):
        (tmp_path / f"hugepages-{name}").mkdir()
        (tmp_path / f"hugepages-{name}" / "nr_hugepages").write_text(f"{count}\n")
    assert machine.huge_pages(tmp_path) == {"hugepages-1Gi": "1048576Ki", "hugepages-2Mi": "6144Ki"}
    assert machine.huge_pages(tmp_path / "none") == {}


@pytest.mark.parametrize("there", ["nothing", "folder", "file", "socket"])
def test_paths_of_the_host_by_type(tmp_path: Path, there: str) -> None:
    def sound(kind: str) -> bool:
        path = tmp_path / f"{there}-{kind}"
        with contextlib.ExitStack() as stack:
            if there == "folder":
                path.mkdir()
            elif there == "file":
                path.touch()
            elif there == "socket":
                listening = stack.enter_context(socket.socket(socket.AF_UNIX))
                os.chdir(tmp_path)
                listening.bind(path.name)
            try:
                host.make(path, kind)
            except VolumeError:
                return False
            return path.exists()

    before = Path.cwd()
    try:
        kinds = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
        found = {kind for kind in kinds if sound(kind)}
    finally:
        os.chdir(before)
    assert (
        found
        == {
            "nothing": {"", "DirectoryOrCreate", "FileOrCreate"},
            "folder": {"", "DirectoryOrCreate", "Directory"},
            "file": {"", "FileOrCreate", "File"},
            "socket": {"", "Socket"},
        }[there]
    )


def test_devices_of_the_host() -> None:
    host.make(Path("/dev/null"), "CharDevice")
    with pytest.raises(VolumeError, match="is not a block device"):
        host.make(Path("/dev/null"), "BlockDevice")


def test_a_part_of_a_volume_is_as_open_as_the_volume(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    volume.chmod(0o2777)
    place = places.below(volume, "deep/down", tmp_path / "place", "deep/down")
    try:
        for made in (volume / "deep", volume / "deep" / "down"):
            assert stat.S_IMODE(made.stat().st_mode) == 0o2777
        assert place.samefile(volume / "deep" / "down")
        (volume / "deep").chmod(0o700)
        places.below(volume, "deep/down", tmp_path / "place", "deep/down")
        assert stat.S_IMODE((volume / "deep").stat().st_mode) == 0o700
    finally:
        for point in mounts.mounted_below(tmp_path):
            mounts.unmount(point)


def test_a_race_of_links_never_leads_out_of_the_volume(tmp_path: Path) -> None:
    """CVE-2021-25741: somebody in the pod swaps a folder for a link while the agent mounts it."""
    volume, outside = tmp_path / "v", tmp_path / "outside"
    for folder in (volume / "real" / "deep", outside / "deep"):
        folder.mkdir(parents=True)
    (outside / "deep" / "secret").touch()
    (volume / "link").symlink_to(outside)
    (volume / "relative").symlink_to("../outside")
    stopped = threading.Event()

    def swap() -> None:
        turn = 0
        while not stopped.is_set():
            turn += 1
            with contextlib.suppress(OSError):
                (volume / "new").symlink_to(outside if turn % 2 else "../outside")
                os.rename(volume / "sub", volume / "old")
                os.rename(volume / "new", volume / "sub")
                os.unlink(volume / "sub")
                os.rename(volume / "old", volume / "sub")

    (volume / "real").rename(volume / "sub")
    attacker = threading.Thread(target=swap)
    attacker.start()
    mounted = refused = 0
    try:
        for _ in range(400):
            try:
                place = places.below(volume, "sub/deep", tmp_path / "place", "sub/deep")
            except VolumeError:
                refused += 1
                continue
            mounted += 1
            assert not (place / "secret").exists()
    finally:
        stopped.set()
        attacker.join()
        for point in mounts.mounted_below(tmp_path):
            mounts.unmount(point)
    assert mounted
    assert not (outside / "deep" / "deep").exists()
    assert sorted(each.name for each in outside.iterdir()) == ["deep"]


def test_a_locked_volume_is_read_only_with_all_that_is_mounted_in_it(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    (volume / "inner").mkdir(parents=True)
    mounts.tmpfs(volume / "inner", size=2**20)
    try:
        place = places.locked(volume, tmp_path / "place", "Enabled")
        for folder in (place, place / "inner"):
            with pytest.raises(OSError, match="Read-only file system"):
                (folder / "file").touch()
        (volume / "inner" / "file").touch()
        assert (place / "inner" / "file").exists()
    finally:
        for point in mounts.mounted_below(tmp_path):
            mounts.unmount(point)


def test_where_the_kernel_cannot_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "can_lock", lambda: False)
    assert places.locked(tmp_path, tmp_path / "place", "IfPossible") == tmp_path
    with pytest.raises(VolumeError, match=r"recursiveReadOnly: Enabled needs root and Linux 5\.12"):
        places.locked(tmp_path, tmp_path / "place", "Enabled")


def test_files_of_objects_are_the_groups_with_their_folders(tmp_path: Path) -> None:
    payload.write(tmp_path / "v", {"deep/file": File(b"x", 0o400)}, 77)
    data = tmp_path / "v" / "..data"
    for path, mode in ((tmp_path / "v", 0o2550), (data / "deep", 0o2550), (data / "deep" / "file", 0o440)):
        found = path.stat()
        assert found.st_gid == 77
        assert found.st_mode & mode == mode, path
    assert not payload.write(tmp_path / "v", {"deep/file": File(b"x", 0o400)}, 77)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"clusterTrustBundle": {"name": "ca", "path": "ca.pem"}}, 'clustertrustbundle "ca" not found'),
        ({"clusterTrustBundle": {"signerName": "a.com/b", "path": "x"}}, 'clustertrustbundle "a.com/b" not found'),
        ({"podCertificate": {"signerName": "a.com/b"}}, "PodCertificateRequests are not served here"),
    ],
)
def test_projections_that_nobody_serves(source: dict[str, Any], words: str) -> None:
    volume = {"name": "p", "projected": {"sources": [source]}}
    with pytest.raises(VolumeError, match=words):
        sources.files(pod(volumes=[volume]), volume, Snapshot(), Facts())


def test_an_optional_bundle_is_an_empty_file() -> None:
    source = {"clusterTrustBundle": {"name": "ca", "path": "ca.pem", "optional": True}}
    volume = {"name": "p", "projected": {"sources": [source]}}
    assert sources.files(pod(volumes=[volume]), volume, Snapshot(), Facts()) == {"ca.pem": File(b"", 0o644)}


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"gitRepo": {"repository": "https://example.com/x"}}, "clone into an emptyDir in an init container"),
        ({"csi": {"driver": "x.example.com"}}, "not found in the list of registered CSI drivers"),
        ({"rbd": {"image": "x"}}, "volumes of kind rbd are not supported by this node"),
    ],
)
def test_kinds_that_the_node_does_not_have(tmp_path: Path, volume: dict[str, Any], words: str) -> None:
    with pytest.raises(VolumeError, match=words) as refused:
        VolumeStore(tmp_path).prepare(pod(volumes=[{"name": "v", **volume}]), Snapshot(), Facts())
    assert str(refused.value).startswith('MountVolume.SetUp failed for volume "v" : ')


def test_a_local_volume_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VolumeError, match="is not a directory: this node formats and mounts no devices"):
        claims.mount_source({"local": {"path": str(tmp_path / "file")}}, tmp_path / "v", read_only=False)
    with pytest.raises(VolumeError, match="does not exist"):
        claims.mount_source({"local": {"path": str(tmp_path / "none")}}, tmp_path / "v", read_only=False)


@pytest.mark.parametrize(("wanted", "engine"), [("Bidirectional", "rshared"), ("HostToContainer", "rslave")])
def test_a_volume_whose_mounts_travel_is_a_shared_mount(tmp_path: Path, wanted: str, engine: str) -> None:
    store = VolumeStore(tmp_path / "data")
    mount = {"name": "v", "mountPath": "/v", "mountPropagation": wanted}
    whole = pod(container(volumeMounts=[mount]), volumes=[{"name": "v", "emptyDir": {}}])
    try:
        store.prepare(whole, Snapshot(), Facts())
        for attempt in range(2):
            made = store.mounts_of(whole, whole["spec"]["containers"][0], attempt, {})[0]
            assert made.propagation == engine
            (entry,) = (line for line in Path("/proc/self/mountinfo").read_text().splitlines() if made.source in line)
            assert " shared:" in entry
    finally:
        store.remove("uid-web")
    assert not mounts.mounted_below(tmp_path)


def test_devices_are_refused(tmp_path: Path) -> None:
    raw = container(volumeDevices=[{"name": "v", "devicePath": "/dev/x"}])
    whole = pod(raw, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    with pytest.raises(VolumeError, match="block volumes are not supported by this node"):
        VolumeStore(tmp_path).prepare(whole, Snapshot(), Facts())


@pytest.mark.parametrize(("label", "runs"), [("here", True), ("there", False)])
async def test_a_volume_is_used_on_its_nodes_only(rig: Rig, tmp_path: Path, label: str, runs: bool) -> None:
    (tmp_path / "folder").mkdir()
    expression = {"key": "place", "operator": "In", "values": ["here"]}
    volume = {
        "metadata": {"name": "v"},
        "spec": {
            "claimRef": {"uid": "claim-uid"},
            "local": {"path": str(tmp_path / "folder")},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
        },
    }
    claim = {"metadata": {"name": "c", "uid": "claim-uid"}, "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}}
    rig.client.objects["persistentvolumes", "v"] = volume
    rig.client.objects["persistentvolumeclaims", "c"] = claim
    rig.client.objects["nodes", "node-1"] = {"metadata": {"name": "node-1", "labels": {"place": label}}}
    worker = rig.start(pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]))
    if runs:
        await until(lambda: worker.volumes_ready)
    else:
        await until(lambda: any("MountVolume.NodeAffinity check failed" in text for _, text in rig.recorder.events))
        assert not worker.volumes_ready
    worker.vanish()
    await until(lambda: worker.cleaned)


async def test_a_volume_is_used_by_the_claim_that_it_names(rig: Rig, tmp_path: Path) -> None:
    spec = {"local": {"path": str(tmp_path)}, "claimRef": {"namespace": "shop", "name": "c", "uid": "another"}}
    claim = {
        "metadata": {"name": "c", "namespace": "shop", "uid": "claim-uid"},
        "spec": {"volumeName": "v"},
        "status": {"phase": "Bound"},
    }
    rig.client.objects["persistentvolumes", "v"] = {"metadata": {"name": "v"}, "spec": spec}
    rig.client.objects["persistentvolumeclaims", "c"] = claim
    worker = rig.start(pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]))
    words = 'persistentvolume "v" is not bound to claim "shop/c"'
    await until(lambda: any(words in text for _, text in rig.recorder.events))
    assert not worker.volumes_ready
    worker.vanish()
    await until(lambda: worker.cleaned)


def test_restarts_leave_no_mounts_behind(tmp_path: Path) -> None:
    store = VolumeStore(tmp_path / "data")
    wanted = [
        {"name": "v", "mountPath": "/a", "subPath": "a"},
        {"name": "v", "mountPath": "/b", "readOnly": True, "recursiveReadOnly": "Enabled"},
        {"name": "c", "mountPath": "/f", "subPath": "key"},
    ]
    files = Snapshot({("configmap", "c"): {"kind": "ConfigMap", "data": {"key": "x"}}})
    whole = pod(
        container(volumeMounts=wanted),
        volumes=[{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c"}}],
    )
    try:
        store.prepare(whole, files, Facts())
        counts = set()
        for attempt in range(5):
            store.mounts_of(whole, whole["spec"]["containers"][0], attempt, {})
            counts.add(len(mounts.mounted_below(tmp_path / "data" / "pods")))
        assert counts == {3}
        assert len(list((tmp_path / "data" / "pods" / "uid-web" / "subpaths" / "c").iterdir())) == 3
    finally:
        store.remove("uid-web")
        mounts.unmount(tmp_path / "data" / "tmpfs")


async def test_servers_that_hang_hold_up_their_own_pods_only(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    waiting: list[str] = []

    def hang(*_: object, **_more: object) -> None:
        waiting.append(threading.current_thread().name)
        answered.wait(60)

    monkeypatch.setattr(nfs, "mount", hang)
    export = {"name": "v", "nfs": {"server": "s", "path": "/p"}}
    try:
        slow = [rig.start(pod(name=f"slow-{number}", volumes=[export])) for number in range(8)]
        await until(lambda: len(waiting) == 4)
        worker = rig.start(pod(name="quick", volumes=[{"name": "v", "emptyDir": {}}]))
        await until(lambda: (last := worker.observe().last("c")) is not None and last.running)
        assert not any(one.volumes_ready for one in slow)
        assert {name.rpartition("_")[0] for name in waiting} == {"exports"}
    finally:
        answered.set()
    await until(lambda: all(one.volumes_ready for one in slow))
