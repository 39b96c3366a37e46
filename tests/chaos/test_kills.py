"""Kill -9 of every part at random moments, under load: nothing acknowledged is lost, nothing runs twice, nothing is orphaned.

``CHAOS_SECONDS`` (default 40) and ``CHAOS_SEED`` steer it; the seed of a failure is in its message.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl

import aiohttp
import pytest

from moorage_agent.identity import cluster_uid
from moorage_agent.pods import labels
from tests.bench.installation import Installation, installation
from tests.bench.pods import IMAGE, make_image
from tests.chaos.docker_state import running
from tests.chaos.killer import Killer
from tests.chaos.watcher import Watcher
from tests.chaos.writers import LOST, Writer
from tests.support.wait import NotYet, until

SECONDS = float(os.environ.get("CHAOS_SECONDS", "40"))
SEED = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
NAMESPACE = "chaos"
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
WRITTEN = f"{CONFIGMAPS}?fieldSelector=metadata.name!=kube-root-ca.crt"
"""What the writers make: every namespace has one configmap more, which the platform keeps."""
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


@pytest.mark.chaos
@pytest.mark.docker
@pytest.mark.timeout(SECONDS + 240)
async def test_kills_at_random_moments_lose_nothing_and_double_nothing() -> None:
    await make_image()
    async with installation() as target, client(target) as session:
        await prepare(target)
        killer = Killer(target.data_dir, SEED)
        writers = [Writer(session, target.url + CONFIGMAPS, f"writer-{number}", SEED + number) for number in range(6)]
        watchers = [Watcher(session, target.url + WRITTEN) for _ in range(3)]
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for writer in writers:
                group.create_task(writer.run(stop.is_set))
            for watcher in watchers:
                group.create_task(watcher.run(stop.is_set))
            group.create_task(scale(session, target, stop))
            await killer.run(SECONDS)
            stop.set()
        await until(lambda: all_ready(killer), timeout=90, every=0.2)
        for writer in writers:
            await writer.check()
        told = f"seed {SEED}: killed {killer.kills}"
        assert sum(writer.acknowledged for writer in writers) > 50, f"{told}: hardly any write was acknowledged"
        await until(lambda: watchers_agree(session, target, watchers), timeout=30)
        await until(lambda: node_is_true_to_the_api(session, target), timeout=120, every=0.5)


def client(target: Installation) -> aiohttp.ClientSession:
    """A session whose requests do not outlive a kill for long."""
    tls = ssl.create_default_context(cafile=str(target.ca_file))
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {target.token}"},
        connector=aiohttp.TCPConnector(ssl=tls, limit=64, force_close=True),
        timeout=aiohttp.ClientTimeout(total=10),
    )


async def prepare(target: Installation) -> None:
    """A namespace, and a deployment that the killing has to leave in order."""
    await target.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["/bin/sleep", "3600"]}
    selector = {"app": "steady"}
    template = {
        "metadata": {"labels": selector},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    spec = {"replicas": 3, "selector": {"matchLabels": selector}, "template": template}
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "steady"}, "spec": spec}
    await target.post(DEPLOYMENT, document)


async def scale(session: aiohttp.ClientSession, target: Installation, stop: asyncio.Event) -> None:
    """Churn: change the number of replicas every few seconds; the answer may be lost."""
    chance = random.Random(SEED)
    while not stop.is_set():
        body = {"spec": {"replicas": chance.randint(1, 5)}}
        headers = {"Content-Type": "application/merge-patch+json"}
        try:
            async with session.patch(f"{target.url}{DEPLOYMENT}/steady", json=body, headers=headers) as response:
                await response.read()
        except LOST:
            continue
        finally:
            await asyncio.sleep(chance.uniform(1, 4))


def all_ready(killer: Killer) -> bool:
    """Every part was started again and says so."""
    states = killer.states()
    if set(states.values()) != {"ready"}:
        raise NotYet(f"parts are {states}")
    return True


async def watchers_agree(session: aiohttp.ClientSession, target: Installation, watchers: list[Watcher]) -> bool:
    """What each watcher's events add up to, after it has caught up once more, is what a list says."""
    async with session.get(target.url + WRITTEN) as response:
        listed = await response.json()
    truth = {item["metadata"]["name"]: int(item["data"]["value"]) for item in listed["items"]}
    for number, watcher in enumerate(watchers):
        await watcher.catch_up()
        if watcher.values != truth:
            raise NotYet(f"seed {SEED}: watcher {number} has {watcher.values}, the API has {truth}")
    return True


async def node_is_true_to_the_api(session: aiohttp.ClientSession, target: Installation) -> bool:
    """The deployment has its replicas, and the engine runs exactly the containers of the pods that the API knows."""
    async with session.get(f"{target.url}{DEPLOYMENT}/steady") as response:
        deployment = await response.json()
    async with session.get(f"{target.url}{PODS}") as response:
        pods = (await response.json())["items"]
    wanted, ready = deployment["spec"]["replicas"], deployment.get("status", {}).get("readyReplicas", 0)
    if wanted != ready or len(pods) != wanted:
        raise NotYet(f"seed {SEED}: {wanted} replicas wanted, {ready} ready, {len(pods)} pods")
    expected = sorted((pod["metadata"]["uid"], name) for pod in pods for name in ("main", labels.SANDBOX_NAME))
    ours = {labels.CLUSTER: cluster_uid(target.ca_file.read_text())}
    found = await running(ours, labels.POD_UID, labels.CONTAINER)
    if expected != found:
        raise NotYet(f"seed {SEED}: the engine runs {found}, the API wants {expected}")
    return True
