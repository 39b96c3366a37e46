"""How containers mount volumes: with what is mounted in them later, read-only with all that is in them, in part."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from moorage_agent.volumes import mounts
from tests.conformance.workloads import SLEEP, container, pod
from tests.support.installation import Installation
from tests.support.rest import Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


def _phase(api: Rest, path: str, phase: str) -> bool:
    status = api.get(path)["status"]
    if status.get("phase") != phase:
        raise NotYet(f"{path}: {status}")
    return True


def _mount(path: str = "/v", **more: Any) -> dict[str, Any]:
    return {"name": "v", "mountPath": path, **more}


def _said(api: Rest, path: str, name: str) -> list[str]:
    return api.request("GET", f"{path}/log", container=name).text.split()


def _volume(installation: Installation, uid: str) -> Path | None:
    """The folder of the pod's volume on this machine."""
    return next(iter(installation.data_dir.glob(f"**/pods/{uid}/volumes/v")), None)


async def test_mounts_travel_as_far_as_they_are_allowed(
    api: Rest, space: str, image: str, installation: Installation
) -> None:
    wait = "until [ -s /v/inner/file ]; do sleep 0.1; done; cat /v/inner/file"
    look = "cat /v/inner/file"
    write = "for f in /v /v/inner; do touch $f/x 2>/dev/null && echo written || echo refused; done"
    body = pod(
        "travel",
        container(
            image, f"{look}; {write}", "locked", volumeMounts=[_mount(readOnly=True, recursiveReadOnly="Enabled")]
        ),
        container(image, write, "plain", volumeMounts=[_mount(readOnly=True)]),
        initContainers=[container(image, wait, "taker", volumeMounts=[_mount(mountPropagation="HostToContainer")])],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    pods = f"/api/v1/namespaces/{space}/pods"
    path = f"{pods}/travel"
    uid = api.create(pods, body)["metadata"]["uid"]

    def waits() -> bool:
        state = (api.get(path)["status"].get("initContainerStatuses") or [{}])[0].get("state") or {}
        if "running" not in state:
            raise NotYet(str(state))
        return True

    await until(waits, timeout=60)
    folder = _volume(installation, uid)
    assert folder is not None
    mounts.tmpfs(folder / "inner", size=2**20)
    (folder / "inner" / "file").write_text("given")
    await until(lambda: _phase(api, path, "Succeeded"), timeout=60)
    assert _said(api, path, "taker") == ["given"]
    assert _said(api, path, "locked") == ["givenrefused", "refused"]
    assert _said(api, path, "plain") == ["refused", "written"]
    statuses = {each["name"]: each["volumeMounts"][0] for each in api.get(path)["status"]["containerStatuses"]}
    assert {name: one["recursiveReadOnly"] for name, one in statuses.items()} == {
        "locked": "Enabled",
        "plain": "Disabled",
    }
    api.delete(path)
    await until(lambda: _volume(installation, uid) is None, timeout=30)
    assert not mounts.mounted_below(folder)
    both = container(image, volumeMounts=[_mount(mountPropagation="Bidirectional")])
    refused = api.request("POST", pods, pod("never", both, volumes=[{"name": "v", "emptyDir": {}}])).refused(422)
    assert "Bidirectional mount propagation is available only to privileged containers" in refused


async def test_a_part_of_a_volume_stays_as_it_was(api: Rest, space: str, image: str) -> None:
    inside = f"/api/v1/namespaces/{space}"
    api.create(f"{inside}/configmaps", {"metadata": {"name": "changing"}, "data": {"key": "old"}})
    script = 'until [ "$(cat /whole/key)" = new ]; do sleep 0.2; done; cat /part/key /whole/key; ls /whole; touch /w/x'
    body = pod(
        "parts",
        container(
            image,
            f"{script} && stat -c %a:%g /w; df -k /memory | tail -1 | awk '{{print $2}}'; {SLEEP}",
            securityContext={"runAsUser": 4321, "runAsGroup": 4321},
            resources={"limits": {"memory": "32Mi"}},
            volumeMounts=[
                {"name": "c", "mountPath": "/whole"},
                {"name": "c", "mountPath": "/part/key", "subPath": "key"},
                {"name": "d", "mountPath": "/w", "subPath": "made/for/it"},
                {"name": "m", "mountPath": "/memory"},
            ],
        ),
        securityContext={"fsGroup": 2000},
        volumes=[
            {"name": "c", "projected": {"sources": [
                {"configMap": {"name": "changing"}},
                {"secret": {"name": "later", "optional": True, "items": [{"key": "word", "path": "word"}]}},
            ]}},
            {"name": "d", "emptyDir": {}},
            {"name": "m", "emptyDir": {"medium": "Memory"}},
        ],
    )  # fmt: skip
    api.create(f"{inside}/pods", body)
    path = f"{inside}/pods/parts"
    await until(lambda: _phase(api, path, "Running"), timeout=60)
    api.create(f"{inside}/secrets", {"metadata": {"name": "later"}, "stringData": {"word": "here"}})
    api.patch(f"{inside}/configmaps/changing", {"data": {"key": "new"}})
    expected = ["oldnewkey", "word", "2777:2000", str(32 * 1024)]

    def all_said() -> bool:
        said = _said(api, path, "main")
        if said != expected:
            raise NotYet(str(said))
        return True

    await until(all_said, timeout=60)
    api.delete(path)


async def test_what_cannot_be_mounted_is_told(api: Rest, space: str, image: str, tmp_path: Path) -> None:
    inside = f"/api/v1/namespaces/{space}"
    (tmp_path / "file").touch()
    sources: dict[str, tuple[dict[str, Any], str]] = {
        "nfs": (
            {"nfs": {"server": "127.0.0.1", "path": "/x"}},
            "mounting NFS 127.0.0.1:/x: the server does not answer",
        ),
        "path": ({"hostPath": {"path": str(tmp_path / "file"), "type": "Directory"}}, "is not a directory"),
        "git": (
            {"gitRepo": {"repository": "https://git.example.com/x"}},
            "clone into an emptyDir in an init container",
        ),
        "bundle": (
            {"projected": {"sources": [{"clusterTrustBundle": {"name": "ca", "path": "ca.pem"}}]}},
            'clustertrustbundle "ca" not found',
        ),
    }
    for name, (source, _) in sources.items():
        body = pod(f"no-{name}", container(image, volumeMounts=[_mount()]), volumes=[{"name": "v", **source}])
        api.create(f"{inside}/pods", body)

    def told(name: str, words: str) -> bool:
        events = api.get(f"{inside}/events", fieldSelector=f"involvedObject.name=no-{name}")["items"]
        said = [event["message"] for event in events if event["reason"] == "FailedMount"]
        if not any(text.startswith('MountVolume.SetUp failed for volume "v" : ') and words in text for text in said):
            raise NotYet(f"{name}: {said}")
        return True

    for name, (_, words) in sources.items():
        await until(partial(told, name, words), timeout=60)
        status = api.get(f"{inside}/pods/no-{name}")["status"]
        assert status["phase"] == "Pending"
        assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
        api.delete(f"{inside}/pods/no-{name}")
    for name in sources:
        await until(partial(api.missing, f"{inside}/pods/no-{name}"), timeout=30)
