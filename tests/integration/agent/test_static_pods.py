"""Pods that the node runs from files of its own: their life, and their mirrors in the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from moorage.client.errors import NotFound
from moorage.client.resource import EVENTS, PODS
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.pods import labels
from tests.integration.agent.rig import NAMESPACE, Document, Rig
from tests.support.apiserver import RunningApi
from tests.support.docker import Owned, containers
from tests.support.wait import until

pytestmark = pytest.mark.docker
MIRROR = "kubernetes.io/config.mirror"


class Static:
    """A node with a folder of manifests."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.folder = folder

    def name(self, name: str) -> str:
        return f"{name}-{self.rig.node}"

    def write(self, name: str, **container: Any) -> None:
        """Put a manifest of one container into the folder, in one step."""
        spec = {"terminationGracePeriodSeconds": 1, "containers": [self.rig.container(**container)]}
        metadata = {"name": name, "namespace": NAMESPACE}
        temporary = self.folder.parent / f"{name}.new"
        temporary.write_bytes(orjson.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
        temporary.rename(self.folder / f"{name}.json")

    async def running(self, name: str) -> Document:
        """Wait until the mirror says that the pod is Running and Ready."""
        await until(lambda: self.mirror(name), timeout=30)
        return await self.rig.running(self.name(name))

    async def mirror(self, name: str) -> Document | None:
        try:
            return await self.rig.get(self.name(name))
        except NotFound:
            return None

    def here(self, mirror: Document, *, running: bool = True) -> list[str]:
        """Ids of the static pod's containers on the engine."""
        uid = mirror["metadata"]["annotations"][MIRROR]
        return containers(f"{labels.POD_UID}={uid}", f"{labels.CONTAINER}=c", running=running)


@pytest.fixture
async def static(api: RunningApi, docker_engine: DockerEngine, owned: Owned, tmp_path: Path) -> AsyncIterator[Static]:
    folder = tmp_path / "static"
    folder.mkdir()
    rig = Rig(api, owned, tmp_path)
    rig.usual = {"static_pods": folder}
    async with rig:
        yield Static(rig, folder)


async def test_from_file_to_pod_and_away(static: Static) -> None:
    rig = static.rig
    static.write("web", script="echo hello; exec sleep 600")
    mirror = await static.running("web")
    node = await rig.node_object()
    (owner,) = mirror["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Node", rig.node, node["metadata"]["uid"])
    annotations = mirror["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.hash"] == annotations[MIRROR] != mirror["metadata"]["uid"]
    assert mirror["status"]["podIP"]
    assert "serviceAccountName" not in mirror["spec"]
    assert await rig.logged(mirror, 1) == "hello\n", "its log is found by the mirror's uid"
    await rig.event(static.name("web"), "Started")
    found = await rig.client.list(EVENTS, NAMESPACE)
    about = {one["involvedObject"]["uid"] for one in found.items if one["reason"] == "Started"}
    assert about == {annotations[MIRROR]}, "where kubectl describe looks"

    before = static.here(mirror)
    await rig.client.delete(PODS, static.name("web"), NAMESPACE)

    async def again() -> Document:
        found = await rig.get(static.name("web"))
        assert found["metadata"]["uid"] != mirror["metadata"]["uid"]
        assert found["status"]["phase"] == "Running"
        return found

    await until(lambda: or_none(again), timeout=30)
    assert static.here(mirror) == before, "a mirror that is deleted ends nothing"

    static.write("web", script="echo changed; exec sleep 600")

    async def changed() -> Document:
        found = await rig.get(static.name("web"))
        assert found["metadata"]["annotations"][MIRROR] != annotations[MIRROR]
        assert found["status"]["phase"] == "Running"
        return found

    second = await until(lambda: or_none(changed), timeout=30)
    assert static.here(mirror, running=False) == []
    assert await rig.logged(second, 1) == "changed\n"

    (static.folder / "web.json").unlink()
    await until(lambda: gone(static, "web"), timeout=30)
    assert static.here(second, running=False) == []


async def test_a_bad_file_is_told_and_others_run(static: Static) -> None:
    (static.folder / "bad.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: []}\n"
    )
    static.write("good")
    await static.running("good")

    async def told() -> str:
        found = await static.rig.client.list(EVENTS, "default")
        (message,) = [one["message"] for one in found.items if one["reason"] == "InvalidStaticPod"]
        return str(message)

    assert "bad.yaml: invalid pod: [spec.containers: Required value" in await until(told, timeout=20)
    assert await static.mirror("bad") is None


async def test_over_a_restart_and_without_the_api(static: Static, owned: Owned) -> None:
    rig = static.rig
    static.write("kept", script="exec sleep 600")
    mirror = await static.running("kept")
    before = static.here(mirror)
    await rig.stop()
    static.write("new", script="exec sleep 600")
    away = "https://127.0.0.1:9"
    task = rig.begin(server=away)
    own = f"{labels.CLUSTER}={owned.cluster}", f"{labels.POD}={static.name('new')}", f"{labels.CONTAINER}=c"
    await until(lambda: containers(*own, running=True), timeout=30)
    assert static.here(mirror) == before, "what ran goes on, though nobody said that it should"
    assert not task.done()
    await rig.stop()
    await rig.start()
    await static.running("new")
    assert static.here(await static.running("kept")) == before
    assert (await rig.get(static.name("kept")))["metadata"]["uid"] == mirror["metadata"]["uid"]


async def test_mirrors_of_nothing_are_removed(static: Static) -> None:
    """A folder that is gone with the agent: nothing of its pods is left, in the API or here."""
    static.write("old")
    mirror = await static.running("old")
    await static.rig.stop()
    (static.folder / "old.json").unlink()
    await static.rig.start()
    await until(lambda: gone(static, "old"), timeout=30)
    await until(lambda: not containers(f"{labels.POD_UID}={mirror['metadata']['annotations'][MIRROR]}"), timeout=30)


async def gone(static: Static, name: str) -> bool:
    return await static.mirror(name) is None


async def or_none(check: Any) -> Any:
    """What ``check`` gives; the mirror may be missing for a moment."""
    try:
        return await check()
    except NotFound:
        raise AssertionError("no mirror") from None
