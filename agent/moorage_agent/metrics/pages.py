"""The pages that a node answers, as the kubelet's server has them: metrics, summary, health, pods. GET only.

Source: ``pkg/kubelet/server/server.go``. They are asked for through the API (``/api/v1/nodes/NAME/proxy/...``) and come over the
node's tunnel: the agent listens on no port.
"""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs

import orjson

from moorage import __version__
from moorage_agent.engine.contract import EngineError
from moorage_agent.metrics import containers, reading
from moorage_agent.metrics.exposition import TYPE, Sample, family
from moorage_agent.metrics.meters import Meters
from moorage_agent.metrics.reading import Reader
from moorage_agent.metrics.summary import summary
from moorage_agent.node.disk import Taken
from moorage_agent.pods.observed import Attempt, Observed

_PLAIN, _JSON = "text/plain; charset=utf-8", "application/json"
_HEALTHY = frozenset(("/healthz", "/healthz/ping", "/healthz/log", "/healthz/syncloop"))


class Page(NamedTuple):
    """An answer over HTTP."""

    code: int
    type: str
    body: bytes


class Pod(reading.Pod, Protocol):
    """A pod as its worker knows it."""

    @property
    def uid(self) -> str:
        """The pod's uid on the node."""
        ...

    def attempts(self) -> Mapping[str, Sequence[Attempt]]:
        """The starts of its containers, by name."""
        ...


class About(NamedTuple):
    """What does not change: the node's name, its data folder, what it has (cpu, memory), and its configuration."""

    node: str
    data: Path
    capacity: Mapping[str, float]
    configuration: Mapping[str, Any]


class Pages:
    """One node's. ``disk`` measures what a pod takes of the disk."""

    def __init__(
        self,
        about: About,
        meters: Meters,
        reader: Reader,
        pods: Callable[[], Iterable[Pod]],
        disk: Callable[[Pod], Awaitable[Taken]],
        versions: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._about = about
        self._meters = meters
        self._reader = reader
        self._pods = pods
        self._disk = disk
        self._versions = versions

    async def answer(self, method: str, path: str, query: str) -> Page:
        """The page at ``path``."""
        if method not in ("GET", "HEAD"):
            return Page(405, _PLAIN, b"405: Method Not Allowed")
        path = path.rstrip("/")
        if path in _HEALTHY:
            return Page(200, _PLAIN, b"ok")
        try:
            text = await self._text(path)
            if text is not None:
                return Page(200, TYPE, "".join(f"{line}\n" for line in text).encode())
            found = await self._document(path, query)
        except EngineError as error:
            return Page(500, _PLAIN, f"Internal Error: {error}".encode())
        if found is None:
            return Page(404, _PLAIN, b"404 page not found\n")
        return Page(200, _JSON, orjson.dumps(found))

    async def _text(self, path: str) -> Iterable[str] | None:
        if path == "/metrics":
            return chain(self._meters.lines(), self._gauges())
        if path == "/metrics/probes":
            return self._meters.probe_lines()
        if path == "/metrics/cadvisor":
            return containers.cadvisor(await self._reader.read(), self._about.capacity, self._machine())
        if path == "/metrics/resource":
            try:
                return containers.resource(await self._reader.read())
            except EngineError:
                return containers.resource(None)
        if path == "/metrics/slis":
            text = "This metric records the result of a single healthcheck."
            return family("kubernetes_healthcheck", "gauge", text, [({"name": "syncloop", "type": "healthz"}, 1.0)])
        return None

    async def _document(self, path: str, query: str) -> Any:
        if path == "/pods":
            return _pod_list([one.pod for one in self._pods()])
        if path == "/runningpods":
            return _pod_list([_running(one.pod, one.observe()) for one in self._pods() if one.running()])
        if path == "/configz":
            return {"kubeletconfig": dict(self._about.configuration)}
        if path in ("/stats", "/stats/summary"):
            return await self._summary(parse_qs(query).get("only_cpu_and_memory", [""])[-1] == "true")
        return None

    async def _summary(self, only_cpu_and_memory: bool) -> Any:
        before, now = await self._reader.pair()
        taken = None if only_cpu_and_memory else {one.uid: await self._disk(one) for one in self._pods()}
        about = self._about
        return summary(before, now, about.node, about.data, int(about.capacity["memory"]), taken)

    def _gauges(self) -> Iterator[str]:
        """What is counted when somebody asks."""
        pods = list(self._pods())
        seen = [(one, one.observe()) for one in pods]
        states = {"created": 0, "running": 0, "exited": 0}
        for _, each in seen:
            for starts in each.attempts.values():
                for start in starts:
                    states[start.container.state.value] += 1
        running = sum(each.sandbox() is not None for _, each in seen)
        static = [(word, sum(bool(one.digest) is (word == "true") for one in pods)) for word in ("", "true")]
        text = "Number of pods that have a running pod sandbox"
        yield from family("kubelet_running_pods", "gauge", text, [({}, running)])
        counted: list[Sample] = [({"container_state": state}, count) for state, count in sorted(states.items())]
        yield from family("kubelet_running_containers", "gauge", "Number of containers currently running", counted)
        text = "The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver."
        yield from family("kubelet_desired_pods", "gauge", text, [({"static": word}, count) for word, count in static])
        text = "The number of mirror pods the kubelet will try to create (one per admitted static pod)"
        yield from family("kubelet_mirror_pods", "gauge", text, [({}, sum(bool(one.digest) for one in pods))])
        yield from family(
            "kubelet_node_name", "gauge", "The node's name. The count is always 1.", [({"node": self._about.node}, 1)]
        )
        info = self._versions()
        build = {
            "git_version": str(info.get("kubeletVersion", "")),
            "platform": f"linux/{info.get('architecture', '')}",
        }
        text = "A metric with a constant '1' value labeled by version and platform."
        yield from family("kubernetes_build_info", "gauge", text, [(build, 1)])
        yield from _of_process()

    def _machine(self) -> Mapping[str, str]:
        info = self._versions()
        return {
            "cadvisorRevision": "",
            "cadvisorVersion": f"moorage-{__version__}",
            "dockerVersion": str(info.get("containerRuntimeVersion", "")).rpartition("/")[2],
            "kernelVersion": platform.release(),
            "osVersion": str(info.get("osImage", "")),
        }


def _of_process() -> Iterator[str]:
    own = reading.own_process()
    text = "Total user and system CPU time spent in seconds."
    yield from family("process_cpu_seconds_total", "counter", text, [({}, own["cpu"])])
    yield from family(
        "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", [({}, own["resident"])]
    )
    yield from family("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", [({}, own["virtual"])])
    yield from family("process_open_fds", "gauge", "Number of open file descriptors.", [({}, own["files"])])
    text = "Start time of the process since unix epoch in seconds."
    yield from family("process_start_time_seconds", "gauge", text, [({}, own["started"])])


def _pod_list(items: list[Any]) -> dict[str, Any]:
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}


def _running(pod: Mapping[str, Any], seen: Observed) -> dict[str, Any]:
    """As the engine alone knows it: names, images, and nothing of the rest."""
    metadata = {name: pod["metadata"][name] for name in ("name", "namespace", "uid")}
    names = {one.name for one in seen.running()}
    every = [
        one for part in ("containers", "initContainers") for one in pod["spec"].get(part) or () if one["name"] in names
    ]
    spec = {"containers": [{"name": one["name"], "image": one.get("image", ""), "resources": {}} for one in every]}
    return {"metadata": metadata, "spec": spec, "status": {}}
