"""What the agent counts while it works.

Source of names, labels and buckets: ``pkg/kubelet/metrics/metrics.go``, ``pkg/kubelet/prober``.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol, cast

from moorage_agent.engine.contract import Engine, EngineError
from moorage_agent.metrics.exposition import Counter, Histogram
from moorage_agent.pods import labels as names

_DEFAULT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_START = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600)
_PROBES = ("probe_type", "container", "pod", "namespace", "pod_uid")
_IMAGE_ERRORS = frozenset(("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"))
_KINDS = {"spec.containers{": "container", "spec.initContainers{": "init_container"}
_OPERATIONS = {
    "create": "create_container",
    "start": "start_container",
    "stop": "stop_container",
    "kill": "stop_container",
    "remove": "remove_container",
    "inspect": "container_status",
    "list": "list_containers",
    "update": "update_container",
    "exec": "exec_sync",
    "pull": "pull_image",
    "image": "image_status",
    "remove_image": "remove_image",
    "usage": "container_stats",
    "ping": "status",
    "info": "version",
}
"""The contract's verbs by the names that the kubelet gives its runtime's operations."""


class Recorder(Protocol):
    """Takes events (``moorage.client.events.EventRecorder``)."""

    def record(self, about: Mapping[str, Any], kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Say that something happened to an object."""
        ...


class Meters:
    """One node's."""

    def __init__(self) -> None:
        self.probes = Counter(
            "prober_probe_total",
            "Cumulative number of a liveness, readiness or startup probe for a container by result.",
            (*_PROBES[:1], "result", *_PROBES[1:]),
        )
        self.probe_seconds = Histogram(
            "prober_probe_duration_seconds",
            "Duration in seconds for a probe response.",
            _DEFAULT,
            _PROBES[:-1],
        )
        self.pod_start = Histogram(
            "kubelet_pod_start_duration_seconds",
            "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
            _START,
        )
        self.pod_start_total = Histogram(
            "kubelet_pod_start_total_duration_seconds",
            "Duration in seconds to start a pod since creation, including time to pull images and run init containers",
            _START,
        )
        self.operations = Counter(
            "kubelet_runtime_operations_total",
            "Cumulative number of runtime operations by operation type.",
            ("operation_type",),
        )
        self.operation_errors = Counter(
            "kubelet_runtime_operations_errors_total",
            "Cumulative number of runtime operation errors by operation type.",
            ("operation_type",),
        )
        self.operation_seconds = Histogram(
            "kubelet_runtime_operations_duration_seconds",
            "Duration in seconds of runtime operations. Broken down by operation type.",
            tuple(0.005 * 2.5**step for step in range(14)),
            ("operation_type",),
        )
        self.started_pods = Counter("kubelet_started_pods_total", "Cumulative number of pods started")
        self.pod_errors = Counter("kubelet_started_pods_errors_total", "Cumulative number of errors when starting pods")
        self.started_containers = Counter(
            "kubelet_started_containers_total", "Cumulative number of containers started", ("container_type",)
        )
        self.container_errors = Counter(
            "kubelet_started_containers_errors_total",
            "Cumulative number of errors when starting containers",
            ("container_type", "code"),
        )
        self.evictions = Counter(
            "kubelet_evictions", "Cumulative number of pod evictions by eviction signal", ("eviction_signal",)
        )
        self.rejections = Counter(
            "kubelet_admission_rejections_total",
            "Cumulative number pod admission rejections by the Kubelet.",
            ("reason",),
        )
        self.started_pods.add(amount=0)
        self.pod_errors.add(amount=0)

    def lines(self) -> Iterator[str]:
        """The text form of all but the probes, which have a page of their own."""
        for one in vars(self).values():
            if one not in (self.probes, self.probe_seconds):
                yield from one.lines()

    def probe_lines(self) -> Iterator[str]:
        """The text form of the probes."""
        yield from self.probes.lines()
        yield from self.probe_seconds.lines()

    def probed(self, kind: str, result: str, pod: Mapping[str, Any], container: str, seconds: float) -> None:
        """A probe was run: ``kind`` liveness, readiness or startup; ``result`` successful, failed or unknown."""
        metadata = pod["metadata"]
        word = kind.capitalize()
        self.probes.add(word, result, container, metadata["name"], metadata["namespace"], metadata["uid"])
        self.probe_seconds.observe(seconds, word, container, metadata["name"], metadata["namespace"])

    def forget(self, pod: Mapping[str, Any]) -> None:
        """A pod is no more: so are its probes' numbers."""
        self.probes.drop(5, pod["metadata"]["uid"])
        self.probe_seconds.drop(2, pod["metadata"]["name"])

    def counted(self, recorder: Recorder) -> Recorder:
        """``recorder``, with the starts counted that its events tell of."""
        return _CountingRecorder(self, recorder)

    def timed(self, engine: Engine) -> Engine:
        """``engine``, with its operations counted."""
        return cast(Engine, _TimedEngine(self, engine))


class _CountingRecorder:
    def __init__(self, meters: Meters, recorder: Recorder) -> None:
        self._meters = meters
        self._recorder = recorder

    def record(self, about: Mapping[str, Any], kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Count, and pass on."""
        part = str(about.get("fieldPath", ""))
        if part:
            sort = next((sort for prefix, sort in _KINDS.items() if part.startswith(prefix)), "ephemeral_container")
            if reason == "Started":
                self._meters.started_containers.add(sort)
            elif reason == "Failed" and message.startswith("Error: "):
                code = message.removeprefix("Error: ")
                self._meters.container_errors.add(sort, code if code in _IMAGE_ERRORS else "RunContainerError")
        elif reason == "FailedCreatePodSandBox":
            self._meters.pod_errors.add()
        self._recorder.record(about, kind, reason, message)


class _TimedEngine:
    """Passes every call on; those of ``_OPERATIONS`` are counted. Verbs that are added to the contract pass through unseen."""

    def __init__(self, meters: Meters, engine: Engine) -> None:
        self._meters = meters
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        operation = _OPERATIONS.get(name)
        if operation is None or not inspect.iscoroutinefunction(found):
            return found
        passed = functools.partial(self._passed, operation, found)
        setattr(self, name, passed)
        return passed

    async def _passed(self, operation: str, call: Any, *arguments: Any, **named: Any) -> Any:
        meters, begun = self._meters, time.perf_counter()
        sandbox = operation == "create_container" and arguments[0].labels.get(names.CONTAINER) == names.SANDBOX_NAME
        operation = "run_podsandbox" if sandbox else operation
        meters.operations.add(operation)
        try:
            answer = await call(*arguments, **named)
            meters.started_pods.add(amount=int(sandbox))
            return answer
        except (EngineError, TimeoutError):
            meters.operation_errors.add(operation)
            raise
        finally:
            meters.operation_seconds.observe(time.perf_counter() - begun, operation)
