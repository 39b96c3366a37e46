"""Pods that come and go: a deployment that is scaled, and pods with volumes and restarts that are made and deleted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from tests.bench.installation import Installation
from tests.support.docker import IMAGE

NAMESPACE = "churn"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
NAMES = [f"pod-{number}" for number in range(6)]
"""The first one is there throughout: nothing of it may ever be started anew."""
STEADY = "echo started >> /disk/main; exec sleep 3600"
FLAPPING = 'echo started >> /disk/brief; [ "$(wc -l < /disk/brief)" -ge 2 ] && exec sleep 3600; exit 1'
"""Ends once by itself: its restart is to be counted, and no other one."""
PAUSE = (0.2, 1.2)


class Churn:
    """``pods`` are the names of pods that the API has been told to have, ``replicas`` those of the deployment."""

    def __init__(self, target: Installation, seed: int) -> None:
        self._target = target
        self._random = random.Random(seed)
        self.pods: set[str] = set()
        self.replicas = 2
        self.changes = 0

    async def prepare(self) -> None:
        """The namespace, the deployment and what the volumes show."""
        target = self._target
        await target.post(
            "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        for kind, data in (("ConfigMap", {"data": {"a": "1"}}), ("Secret", {"stringData": {"b": "2"}})):
            path = f"/api/v1/namespaces/{NAMESPACE}/{kind.lower()}s"
            await target.post(path, {"apiVersion": "v1", "kind": kind, "metadata": {"name": "shown"}, **data})
        labels = {"app": "steady"}
        template = {"metadata": {"labels": labels}, "spec": _spec(["main"])}
        spec = {"replicas": self.replicas, "selector": {"matchLabels": labels}, "template": template}
        document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "steady"}, "spec": spec}
        await target.post(DEPLOYMENTS, document)
        await self._toggle(NAMES[0])

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Change something, again and again. What was not told to have happened is looked up at the end of it."""
        while not stopped():
            if self._random.random() < 0.2:
                await self._scale(self._random.randint(0, 4))
            else:
                await self._toggle(self._random.choice(NAMES[1:]))
            self.changes += 1
            await asyncio.sleep(self._random.uniform(*PAUSE))

    async def _scale(self, replicas: int) -> None:
        session, url = self._target.session, f"{self._target.url}{DEPLOYMENTS}/steady"
        headers = {"Content-Type": "application/merge-patch+json"}
        async with session.patch(url, json={"spec": {"replicas": replicas}}, headers=headers) as response:
            assert response.status == 200, await response.text()
        self.replicas = replicas

    async def _toggle(self, name: str) -> None:
        """Delete the pod if it is to be there, make it otherwise; one that still ends is left to."""
        session, url = self._target.session, self._target.url + PODS
        if name in self.pods:
            grace = self._random.choice([{}, {"gracePeriodSeconds": "0"}])
            async with session.delete(f"{url}/{name}", params=grace) as response:
                assert response.status in (200, 202), await response.text()
            self.pods.discard(name)
            return
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": _spec(["main", "brief"])}
        async with session.post(url, json=document) as response:
            assert response.status in (201, 409), await response.text()
            if response.status == 201:
                self.pods.add(name)


def _spec(names: list[str]) -> dict[str, Any]:
    """A pod with one volume of each sort that leaves something on the node: folders, a memory disk, mounted parts."""
    volumes: list[dict[str, Any]] = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "settings", "configMap": {"name": "shown"}},
        {"name": "key", "secret": {"secretName": "shown"}},
    ]
    mounts: list[dict[str, Any]] = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    mounts.append({"name": "disk", "mountPath": "/part", "subPath": "a/part"})
    scripts = {"main": STEADY, "brief": FLAPPING}
    containers = [
        {"name": name, "image": IMAGE, "command": ["/bin/sh", "-c", scripts[name]], "volumeMounts": mounts}
        for name in names
    ]
    for container in containers:
        container["imagePullPolicy"] = "IfNotPresent"
    return {"containers": containers, "volumes": volumes, "terminationGracePeriodSeconds": 1}
