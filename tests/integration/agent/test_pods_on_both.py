"""One suite of a pod worker's behaviour over both engines, the fake and Docker: people may believe what fake nodes show them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from moorage.client.api import ApiClient
from moorage_agent.engine import pause
from moorage_agent.engine.contract import Engine
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.engine.fake import FakeEngine
from moorage_agent.images.puller import Images
from moorage_agent.objects import Objects
from moorage_agent.pods import labels
from moorage_agent.pods.fields import Facts
from moorage_agent.pods.labels import Owner
from moorage_agent.pods.node import Node
from moorage_agent.pods.spec import Identity
from moorage_agent.pods.status_writer import StatusWriter
from moorage_agent.pods.worker import PodWorker
from moorage_agent.probes.checks import Checks
from moorage_agent.tokens import Tokens
from moorage_agent.volumes.store import VolumeStore
from tests.support.docker import IMAGE, Owned, ensure_images
from tests.support.wait import until
from tests.unit.agent.rig import NotingClient, NotingRecorder

pytestmark = pytest.mark.docker
Document = dict[str, Any]
NOT_THERE = "127.0.0.1:9/moorage-test/none:1"
SCRIPT = """
trap 'exit ${FAKE_EXIT_CODE:-0}' TERM
printf %s "$FAKE_OUTPUT"
if [ -n "$FAKE_RUN_FOR" ]; then sleep $FAKE_RUN_FOR; exit ${FAKE_EXIT_CODE:-0}; fi
while :; do sleep 1 & wait $!; done
"""
"""Does in a shell what the fake does by its variables."""


def container(name: str = "c", *, run_for: float | None = None, code: int = 0, **fields: Any) -> Document:
    """A container that both engines run alike; commands in it succeed, but for ``false``."""
    env = {"FAKE_EXIT_CODE": str(code), "FAKE_EXEC": orjson.dumps({"false": [1, ""]}).decode()}
    if run_for is not None:
        env["FAKE_RUN_FOR"] = str(run_for)
    variables = [{"name": key, "value": value} for key, value in env.items()]
    return {"name": name, "image": IMAGE, "command": ["/bin/sh", "-c", SCRIPT], "env": variables, **fields}


class Said:
    """Takes the place of what writes to the API: keeps the last word on the pod."""

    def __init__(self) -> None:
        self.status: Document = {}

    def submit(self, pod: Document, status: Document) -> None:
        self.status = status

    def forget(self, uid: str) -> None:
        self.status = {}

    async def settled(self, timeout: float) -> bool:
        return True


class Both:
    """A node around one of the engines. ``later`` moves its clock."""

    def __init__(self, engine: Engine, owned: Owned, folder: Path) -> None:
        self.engine = engine
        self.client = NotingClient()
        self.recorder = NotingRecorder()
        self.said = Said()
        self.owner = Owner(owned.cluster, "node-1")
        self._offset = 0.0
        client = cast("ApiClient", self.client)
        self.node = Node(
            identity=Identity(self.owner, "node-uid"),
            engine=engine,
            images=Images(engine),
            objects=Objects(client),
            volumes=VolumeStore(folder),
            tokens=Tokens(client),
            checks=Checks(engine),
            client=client,
            recorder=self.recorder,
            status=cast("StatusWriter", self.said),
            facts=Facts("node-1", "192.0.2.7", cpu=2.0, memory=2**30, storage=2**30),
            sandbox_image=pause.reference(),
            clock=lambda: time.time() + self._offset,
        )
        self.worker: PodWorker | None = None
        self._tasks = [asyncio.create_task(self._follow(), name="engine events")]

    async def _follow(self) -> None:
        async with contextlib.aclosing(self.engine.events(self.owner.labels())) as events:
            async for event in events:
                worker = self.worker
                if event is not None and worker is not None and worker.engine_event(event.action, event.id):
                    worker.look(event.id)

    def start(self, *containers: Document, **spec: Any) -> PodWorker:
        """Run a pod of these containers."""
        metadata = {"name": "web", "namespace": "shop", "uid": f"uid-{id(self)}", "generation": 1}
        whole = {"containers": list(containers), "restartPolicy": "Always", "terminationGracePeriodSeconds": 2, **spec}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole, "status": {"phase": "Pending"}}
        self.worker = PodWorker(self.node, pod)
        self._tasks.append(asyncio.create_task(self.worker.run(), name="worker under test"))
        return self.worker

    async def later(self, seconds: float) -> None:
        self._offset += seconds
        assert self.worker is not None
        self.worker.wake()

    async def status(self, holds: Callable[[Document], object]) -> Document:
        """Wait until what is said of the pod is as wanted."""

        def check() -> Document:
            status = self.said.status
            try:
                held = holds(status)
            except (KeyError, IndexError):
                held = False
            assert held, f"the status is {status}"
            return status

        return await until(check, timeout=30)

    async def event(self, reason: str, text: str = "") -> str:
        def check() -> str:
            for kind, message in self.recorder.events:
                if kind == reason and text in message:
                    return message
            raise AssertionError(f"no event {reason} {text!r} in {self.recorder.events}")

        return await until(check, timeout=30)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.node.checks.close()
        self.node.files.shutdown()


@pytest.fixture(params=["fake", "docker"])
async def both(request: pytest.FixtureRequest, owned: Owned, tmp_path: Path) -> AsyncIterator[Both]:
    engine: Engine = FakeEngine([IMAGE, pause.reference()]) if request.param == "fake" else DockerEngine()
    if isinstance(engine, DockerEngine):
        await ensure_images(engine)
    made = Both(engine, owned, tmp_path)
    try:
        yield made
    finally:
        await made.close()
        await engine.close()


def of(status: Document, name: str = "c", field: str = "containerStatuses") -> Document:
    """The status of one container."""
    return next(dict(one) for one in status[field] if one["name"] == name)


async def test_a_container_that_crashes_is_started_again_with_growing_pauses(both: Both) -> None:
    both.start(container(run_for=0.1, code=3))

    def held_back(restarts: int) -> Callable[[Document], bool]:
        """The first start after a crash waits for nothing."""
        return lambda status: (
            of(status)["restartCount"] == restarts and of(status)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        )

    for restarts, seconds in enumerate((10, 20, 40), start=1):
        status = await both.status(held_back(restarts))
        message = of(status)["state"]["waiting"]["message"]
        assert message.startswith(f"back-off {seconds}s restarting failed container=c pod=web_shop(")
        assert of(status)["lastState"]["terminated"]["exitCode"] == 3
        assert status["phase"] == "Running"
        await both.event("BackOff", "Back-off restarting failed container c in pod web_shop(")
        await both.later(seconds + 1)


async def test_init_containers_run_one_by_one_before_the_others(both: Both) -> None:
    inits = [container("first", run_for=0.3), container("second", run_for=0.1)]
    sidecar = container("beside", restartPolicy="Always")
    worker = both.start(container(), initContainers=[inits[0], sidecar, inits[1]])
    status = await both.status(lambda status: status["phase"] == "Running" and of(status)["ready"])
    starts = {name: attempts[-1].container for name, attempts in worker.attempts().items()}
    assert starts["first"].finished <= starts["beside"].started <= starts["second"].started
    assert starts["second"].finished <= starts["c"].started
    assert of(status, "beside", "initContainerStatuses")["state"].keys() == {"running"}
    assert of(status, "first", "initContainerStatuses")["state"]["terminated"]["reason"] == "Completed"


async def test_an_init_container_that_fails_for_good_fails_the_pod(both: Both) -> None:
    both.start(container(), initContainers=[container("first", run_for=0.1, code=1)], restartPolicy="Never")
    status = await both.status(lambda status: status["phase"] == "Failed")
    assert of(status, "first", "initContainerStatuses")["state"]["terminated"]["exitCode"] == 1
    assert "waiting" in of(status)["state"]


async def test_a_pod_that_is_done(both: Both) -> None:
    both.start(container("a", run_for=0.1), container("b", run_for=0.2), restartPolicy="OnFailure")
    status = await both.status(lambda status: status["phase"] == "Succeeded")
    assert [of(status, name)["state"]["terminated"]["reason"] for name in "ab"] == ["Completed", "Completed"]
    assert {one["reason"] for one in status["conditions"] if one["type"] == "Ready"} == {"PodCompleted"}


async def test_hooks(both: Both) -> None:
    true = {"exec": {"command": ["true"]}}
    worker = both.start(container(lifecycle={"postStart": true, "preStop": {"exec": {"command": ["false"]}}}))
    await both.status(lambda status: of(status)["ready"])
    metadata = {**worker.pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 2}
    worker.update({**worker.pod, "metadata": metadata})
    await both.event("FailedPreStopHook")
    await both.event("Killing", "Stopping container c")
    await until(lambda: "web" in both.client.deleted, timeout=30)
    left = await both.engine.list({**both.owner.labels(), labels.POD_UID: worker.uid})
    assert list(left) == []


async def test_a_post_start_hook_that_fails_ends_its_container(both: Both) -> None:
    both.start(container(lifecycle={"postStart": {"exec": {"command": ["false"]}}}))
    await both.event("FailedPostStartHook")
    await both.status(lambda status: of(status)["state"]["waiting"]["reason"] == "CrashLoopBackOff")


async def test_probes_that_fail(both: Both) -> None:
    false = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    both.start(container("dead", livenessProbe=false), container("shy", readinessProbe=false), container("fine"))
    await both.event("Unhealthy", "Liveness probe failed")
    await both.event("Unhealthy", "Readiness probe failed")
    await both.event("Killing", "Container dead failed liveness probe, will be restarted")
    status = await both.status(lambda status: of(status, "dead").get("lastState") or of(status, "dead")["restartCount"])
    assert of(status, "fine")["ready"]
    assert not of(status, "shy")["ready"]
    assert of(status, "shy")["restartCount"] == 0
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")


async def test_images_that_cannot_be_had(both: Both) -> None:
    both.start(
        container("never", image=NOT_THERE, imagePullPolicy="Never"),
        container("away", image=NOT_THERE, imagePullPolicy="IfNotPresent"),
        container("wrong", image="UPPER/Case:1", imagePullPolicy="IfNotPresent"),
    )
    status = await both.status(
        lambda status: (
            {of(status, name)["state"]["waiting"]["reason"] for name in ("never", "away", "wrong")}
            == {"ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName"}
        )
    )
    assert status["phase"] == "Pending"
    assert of(status, "away")["state"]["waiting"]["message"].startswith(f'Back-off pulling image "{NOT_THERE}"')
    await both.event("Failed", "Failed to pull image")


async def test_a_program_that_is_not_there(both: Both) -> None:
    broken = container()
    broken["command"] = ["/no/such/program"]
    broken["env"].append({"name": "FAKE_START_ERROR", "value": "exec: /no/such/program: no such file or directory"})
    both.start(broken, restartPolicy="Never")
    status = await both.status(lambda status: status["phase"] == "Failed")
    ended = of(status)["state"]["terminated"]
    assert ended["exitCode"] in (127, 128)
    assert "/no/such/program" in ended["message"]
    await both.event("Failed", "/no/such/program")


async def test_a_sandbox_that_dies_takes_its_containers_along(both: Both) -> None:
    worker = both.start(container())
    await both.status(lambda status: of(status)["ready"])
    sandbox = worker.observe().sandbox()
    assert sandbox is not None
    await both.engine.kill(sandbox.container.id)
    await both.status(lambda status: of(status)["ready"] and of(status)["restartCount"] == 1)
    again = worker.observe().sandbox()
    assert again is not None
    assert again.container.id != sandbox.container.id


async def test_a_deadline(both: Both) -> None:
    both.start(container(), activeDeadlineSeconds=60)
    await both.status(lambda status: status["phase"] == "Running")
    await both.later(61)
    status = await both.status(lambda status: status["phase"] == "Failed")
    assert (status["reason"], status["message"]) == (
        "DeadlineExceeded",
        "Pod was active on the node longer than the specified deadline",
    )
    await until(lambda: both.worker is not None and not both.worker.running(), timeout=30)
