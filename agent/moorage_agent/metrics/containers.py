"""What containers use, as cAdvisor tells it (``/metrics/cadvisor``) and as metrics-server reads it (``/metrics/resource``).

Source: cAdvisor's ``metrics/prometheus.go``; ``pkg/kubelet/metrics/collectors/resource_metrics.go`` (KEP-1206).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from moorage_agent.engine.contract import Usage
from moorage_agent.metrics.exposition import Sample, family
from moorage_agent.metrics.reading import Interface, Read, Reading
from moorage_agent.pods.observed import Attempt

_PERIOD = 100_000


class _Of(NamedTuple):
    """A number of a container: its family, and how it is read."""

    name: str
    kind: str
    text: str
    value: Callable[[Attempt, Usage], float | None]


_CONTAINERS = (
    _Of(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed in seconds.",
        lambda _, one: one.cpu,
    ),
    _Of(
        "container_cpu_user_seconds_total",
        "counter",
        "Cumulative user cpu time consumed in seconds.",
        lambda _, one: one.user,
    ),
    _Of(
        "container_cpu_system_seconds_total",
        "counter",
        "Cumulative system cpu time consumed in seconds.",
        lambda _, one: one.system,
    ),
    _Of(
        "container_cpu_cfs_periods_total",
        "counter",
        "Number of elapsed enforcement period intervals.",
        lambda of, one: one.periods if of.container.limits.cpu_quota else None,
    ),
    _Of(
        "container_cpu_cfs_throttled_periods_total",
        "counter",
        "Number of throttled period intervals.",
        lambda of, one: one.throttled_periods if of.container.limits.cpu_quota else None,
    ),
    _Of(
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Total time duration the container has been throttled.",
        lambda of, one: one.throttled if of.container.limits.cpu_quota else None,
    ),
    _Of(
        "container_memory_usage_bytes",
        "gauge",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        lambda _, one: one.whole or one.memory,
    ),
    _Of("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", lambda _, one: one.memory),
    _Of("container_memory_rss", "gauge", "Size of RSS in bytes.", lambda _, one: one.rss),
    _Of("container_memory_cache", "gauge", "Number of bytes of page cache memory.", lambda _, one: one.cache),
    _Of("container_fs_reads_bytes_total", "counter", "Cumulative count of bytes read", lambda _, one: one.read),
    _Of("container_fs_writes_bytes_total", "counter", "Cumulative count of bytes written", lambda _, one: one.written),
    _Of(
        "container_processes",
        "gauge",
        "Number of processes running inside the container.",
        lambda _, one: one.processes,
    ),
    _Of(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds.",
        lambda of, _: of.container.started,
    ),
    _Of(
        "container_spec_memory_limit_bytes",
        "gauge",
        "Memory limit for the container.",
        lambda of, _: of.container.limits.memory,
    ),
    _Of(
        "container_spec_cpu_shares",
        "gauge",
        "CPU share of the container.",
        lambda of, _: of.container.limits.cpu_shares,
    ),
    _Of(
        "container_spec_cpu_period",
        "gauge",
        "CPU period of the container.",
        lambda of, _: _PERIOD if of.container.limits.cpu_quota else None,
    ),
    _Of(
        "container_spec_cpu_quota",
        "gauge",
        "CPU quota of the container.",
        lambda of, _: of.container.limits.cpu_quota or None,
    ),
)
_NETWORKS: tuple[tuple[str, str, Callable[[Interface], int]], ...] = (
    ("receive_bytes", "Cumulative count of bytes received", lambda one: one.received),
    ("receive_packets", "Cumulative count of packets received", lambda one: one.received_packets),
    ("receive_errors", "Cumulative count of errors encountered while receiving", lambda one: one.received_errors),
    (
        "receive_packets_dropped",
        "Cumulative count of packets dropped while receiving",
        lambda one: one.received_dropped,
    ),
    ("transmit_bytes", "Cumulative count of bytes transmitted", lambda one: one.sent),
    ("transmit_packets", "Cumulative count of packets transmitted", lambda one: one.sent_packets),
    ("transmit_errors", "Cumulative count of errors encountered while transmitting", lambda one: one.sent_errors),
    (
        "transmit_packets_dropped",
        "Cumulative count of packets dropped while transmitting",
        lambda one: one.sent_dropped,
    ),
)


def cadvisor(reading: Reading, capacity: Mapping[str, float], versions: Mapping[str, str]) -> Iterator[str]:
    """``/metrics/cadvisor``."""
    at = reading.time
    yield from family(
        "cadvisor_version_info",
        "gauge",
        "A metric with a constant '1' value labeled by kernel version, OS and versions.",
        [(versions, 1)],
    )
    for number in _CONTAINERS:
        yield from family(number.name, number.kind, number.text, list(_container_samples(reading, number)), at)
    seen: list[Sample] = [(labels(one, attempt), at) for one in reading.pods for attempt, _ in one.containers]
    yield from family("container_last_seen", "gauge", "Last time a container was seen by the exporter", seen, at)
    for name, text, value in _NETWORKS:
        samples = [
            ({**_sandbox_labels(one), "interface": each.name}, float(value(each)))
            for one in reading.pods
            for each in one.networks
        ]
        yield from family(f"container_network_{name}_total", "counter", text, samples, at)
    yield from family("machine_cpu_cores", "gauge", "Number of logical CPU cores.", [({}, capacity["cpu"])])
    yield from family(
        "machine_memory_bytes", "gauge", "Amount of memory installed on the machine.", [({}, capacity["memory"])]
    )


def _container_samples(reading: Reading, number: _Of) -> Iterator[Sample]:
    for one in reading.pods:
        for attempt, used in one.containers:
            value = number.value(attempt, used)
            if value is not None:
                own = labels(one, attempt)
                yield ({**own, "cpu": "total"} if number.name == "container_cpu_usage_seconds_total" else own), value


def labels(one: Read, attempt: Attempt) -> dict[str, str]:
    """cAdvisor's labels of a container."""
    metadata = one.pod.pod["metadata"]
    image = next((each.get("image", "") for each in _specs(one.pod.pod) if each["name"] == attempt.name), "")
    return {
        "container": attempt.name,
        "id": f"/docker/{attempt.container.id}",
        "image": image,
        "name": attempt.container.name,
        "namespace": metadata["namespace"],
        "pod": metadata["name"],
    }


def _sandbox_labels(one: Read) -> dict[str, str]:
    sandbox = one.pod.observe().sandbox()
    metadata = one.pod.pod["metadata"]
    where = sandbox.container if sandbox is not None else None
    return {
        "container": "",
        "id": f"/docker/{where.id}" if where is not None else "",
        "image": "",
        "name": where.name if where is not None else "",
        "namespace": metadata["namespace"],
        "pod": metadata["name"],
    }


def _specs(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in ("containers", "initContainers", "ephemeralContainers"):
        yield from pod["spec"].get(part) or ()


def resource(reading: Reading | None) -> Iterator[str]:
    """``/metrics/resource``; ``None`` says that the engine did not answer."""
    failed = reading is None
    if reading is not None:
        at = reading.time
        yield from family(
            "node_cpu_usage_seconds_total",
            "counter",
            "Cumulative cpu time consumed by the node in core-seconds",
            [({}, reading.cpu)],
            at,
        )
        yield from family(
            "node_memory_working_set_bytes",
            "gauge",
            "Current working set of the node in bytes",
            [({}, reading.memory)],
            at,
        )
        yield from _resource_of_pods(reading, at)
    text = "1 if there was an error while getting container metrics, 0 otherwise"
    yield from family("resource_scrape_error", "gauge", text, [({}, float(failed))])


def _resource_of_pods(reading: Reading, at: float) -> Iterator[str]:
    each = [(_short(one, attempt.name), attempt, used) for one in reading.pods for attempt, used in one.containers]
    whole = [(_short(one), [used for _, used in one.containers]) for one in reading.pods if one.containers]
    yield from family(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
        [(own, used.cpu) for own, _, used in each],
        at,
    )
    yield from family(
        "container_memory_working_set_bytes",
        "gauge",
        "Current working set of the container in bytes",
        [(own, used.memory) for own, _, used in each],
        at,
    )
    yield from family(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds",
        [(own, attempt.container.started) for own, attempt, _ in each],
    )
    yield from family(
        "pod_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the pod in core-seconds",
        [(own, sum(used.cpu for used in several)) for own, several in whole],
        at,
    )
    yield from family(
        "pod_memory_working_set_bytes",
        "gauge",
        "Current working set of the pod in bytes",
        [(own, sum(used.memory for used in several)) for own, several in whole],
        at,
    )


def _short(one: Read, container: str = "") -> dict[str, str]:
    metadata = one.pod.pod["metadata"]
    own = {"namespace": metadata["namespace"], "pod": metadata["name"]}
    return {"container": container, **own} if container else own
