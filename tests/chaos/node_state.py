"""Whether a node has what the API wants, and nothing else: containers, processes, volumes, mounts, links and addresses."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from moorage_agent.network.names import Names
from moorage_agent.pods import labels
from moorage_agent.timestamps import seconds
from moorage_agent.volumes import mounts
from tests.chaos.churn import NAMES, Churn
from tests.chaos.own_engine import OwnEngine
from tests.support.docker import docker
from tests.support.wait import NotYet

SETTLED = 5.0
"""Seconds after which a start has been told to everybody."""
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Pod = dict[str, Any]


@dataclass
class Starts:
    """What ran well before a kill: ``seen`` is (container id, restarts) by pod uid."""

    seen: dict[str, tuple[str, int]] = field(default_factory=dict)

    def note(self, pods: list[Pod]) -> None:
        """Remember the containers that run for a while; they must be the same later."""
        self.check(pods)
        for pod in pods:
            for status in (pod.get("status") or {}).get("containerStatuses") or ():
                started = (status.get("state") or {}).get("running", {}).get("startedAt")
                if status["name"] == "main" and started and time.time() - seconds(started) > SETTLED:
                    self.seen.setdefault(pod["metadata"]["uid"], (status["containerID"], status["restartCount"]))

    def check(self, pods: list[Pod]) -> int:
        """Assert that none of them was started anew; returns how many were compared."""
        compared = 0
        for pod in pods:
            before = self.seen.get(pod["metadata"]["uid"])
            for status in (pod.get("status") or {}).get("containerStatuses") or ():
                if status["name"] == "main" and before is not None:
                    name = pod["metadata"]["name"]
                    now = (status["containerID"], status["restartCount"])
                    assert now == before, f"pod {name}: main was {before} before a kill and is {now} afterwards"
                    compared += 1
        return compared


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where to look: the engine, the agent's data directory, and how the agent's network names things."""

    engine: OwnEngine
    data: Path
    names: Names

    def check(self, pods: list[Pod], churn: Churn) -> bool:
        """Raises AssertionError for the first difference from what the API wants. Blocking."""
        _as_wanted(pods, churn)
        living = {pod["metadata"]["uid"] for pod in pods}
        self._containers(pods)
        self._volumes(living)
        self._network(pods, living)
        return True

    def _containers(self, pods: list[Pod]) -> None:
        """Each container of each pod runs once, with its sandbox; ended ones belong to a pod.

        Processes are looked for in the control groups, too: Docker 20.10 forgets what it was starting when it was killed.
        """
        running: list[tuple[str, str]] = []
        known: set[str] = set()
        living = {pod["metadata"]["uid"] for pod in pods}
        for line in docker(
            "--host", self.engine.address, "ps", "-a", "--no-trunc", "--format", "{{json .}}"
        ).splitlines():
            shown = json.loads(line)
            own = dict(pair.split("=", 1) for pair in shown["Labels"].split(",") if "=" in pair)
            uid = own[labels.POD_UID]
            if uid not in living:
                raise NotYet(f"container {shown['Names']} ({shown['State']}) is of no pod that the API has")
            if shown["State"] == "running":
                running.append((uid, own[labels.CONTAINER]))
                known.add(shown["ID"])
        wanted = [
            (pod["metadata"]["uid"], name)
            for pod in pods
            for name in (labels.SANDBOX_NAME, *(each["name"] for each in pod["spec"]["containers"]))
        ]
        if Counter(wanted) != Counter(running):
            more, less = Counter(running) - Counter(wanted), Counter(wanted) - Counter(running)
            raise NotYet(f"running though not wanted: {dict(more)}; wanted and not running: {dict(less)}")
        processes = self.engine.processes()
        if processes.keys() != known:
            unseen = {one: pids for one, pids in processes.items() if one not in known}
            raise NotYet(f"processes that the engine does not know: {unseen}; without any: {known - processes.keys()}")

    def _volumes(self, living: set[str]) -> None:
        folders = [entry for kind in ("pods", "tmpfs") for entry in (self.data / kind).glob("*")]
        left = [str(folder) for folder in folders if UID.fullmatch(folder.name) and folder.name not in living]
        points = [str(point) for point in mounts.mounted_below(self.data)]
        left += [point for point in points if (found := UID.search(point)) is not None and found[0] not in living]
        if left:
            raise NotYet(f"left of pods that are gone: {left}")
        doubled = [point for point, count in Counter(points).items() if count > 1]
        if doubled:
            raise NotYet(f"mounted more than once: {doubled}")

    def _network(self, pods: list[Pod], living: set[str]) -> None:
        addresses = Counter(pod["status"]["podIP"] for pod in pods)
        twice = [address for address, count in addresses.items() if count > 1]
        if twice:
            raise NotYet(f"addresses that several pods have: {twice}")
        with IPRoute() as netlink:
            every = [str(link.get_attr("IFLA_IFNAME")) for link in netlink.get_links()]
        links = {name for name in every if name.startswith(self.names.pods)}
        wanted = {self.names.interface(uid) for uid in living}
        if links != wanted:
            raise NotYet(f"links of no pod: {links - wanted}; pods without their link: {wanted - links}")
        leases = json.loads((self.data / "network" / "pods.json").read_text())["leases"]
        leased = {uid: lease["address"] for uid, lease in leases.items()}
        told = {pod["metadata"]["uid"]: pod["status"]["podIP"] for pod in pods}
        if leased != told:
            raise NotYet(f"addresses given are {leased}, pods have {told}")


def restarts_are_right(data: Path, pods: list[Pod], engine_kills: int) -> None:
    """A container was not started more often than its count says; a start may be cut off by a kill of the engine, no other."""
    for pod in pods:
        for status in pod["status"]["containerStatuses"]:
            uid, name = pod["metadata"]["uid"], status["name"]
            lines = (data / "pods" / uid / "volumes" / "disk" / name).read_text().count("\n")
            missed = status["restartCount"] + 1 - lines
            told = (
                f"{name} of pod {pod['metadata']['name']} started {lines} times, restartCount {status['restartCount']}"
            )
            assert 0 <= missed <= engine_kills, told


def _as_wanted(pods: list[Pod], churn: Churn) -> None:
    names = [pod["metadata"]["name"] for pod in pods]
    bare = {name for name in names if name in NAMES}
    if bare != churn.pods or len(names) - len(bare) != churn.replicas:
        raise NotYet(f"the API has {sorted(names)}; wanted are {sorted(churn.pods)} and {churn.replicas} replicas")
    for pod in pods:
        status = pod.get("status") or {}
        conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
        if conditions.get("Ready") != "True" or pod["metadata"].get("deletionTimestamp"):
            raise NotYet(f"pod {pod['metadata']['name']} is not Ready: {status.get('containerStatuses')}")
