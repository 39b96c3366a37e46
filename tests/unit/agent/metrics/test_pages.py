"""The pages of a node over a scripted engine: what Prometheus reads, the summary, health."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from moorage_agent.engine.contract import Places
from moorage_agent.metrics import reading
from moorage_agent.metrics.exposition import Counter, Histogram, family
from moorage_agent.metrics.meters import Meters
from moorage_agent.metrics.pages import About, Pages
from moorage_agent.metrics.reading import Reader, parse_interfaces
from moorage_agent.node.disk import Disk
from moorage_agent.pods.worker import PodWorker
from moorage_agent.probes.checks import Result
from tests.support.wait import until
from tests.unit.agent.documents import container, pod
from tests.unit.agent.rig import Rig

LINE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]+="(?:[^"\\\n]|\\.)*",?)*\})? -?[0-9.e+-]+(?:[0-9]| [0-9]+)?'
)


def check_format(text: str) -> dict[str, int]:
    """Every line is one that Prometheus takes, each family is announced once and whole; samples by family."""
    found: dict[str, int] = {}
    announced = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            announced = line.split()[2]
            assert announced not in found, f"{announced} comes in two pieces"
            found[announced] = 0
        elif not line.startswith("# HELP "):
            match = LINE.fullmatch(line)
            assert match is not None, line
            assert match[1] == announced or re.sub("_(bucket|sum|count)$", "", match[1]) == announced, line
            found[announced] += 1
    return found


def test_what_is_counted_as_text() -> None:
    counter = Counter("a_total", "Text.", ("x",))
    counter.add('quo"te\\ and\nline')
    assert list(counter.lines())[-1] == 'a_total{x="quo\\"te\\\\ and\\nline"} 1'
    histogram = Histogram("b_seconds", "Text.", (1, 2.5), ("x",))
    for value in (0.5, 1.0, 2.0, 9.0):
        histogram.observe(value, "y")
    assert list(histogram.lines())[2:] == [
        'b_seconds_bucket{x="y",le="1"} 2',
        'b_seconds_bucket{x="y",le="2.5"} 3',
        'b_seconds_bucket{x="y",le="+Inf"} 4',
        'b_seconds_sum{x="y"} 12.5',
        'b_seconds_count{x="y"} 4',
    ]
    assert list(family("c", "gauge", "Text.", [])) == []
    assert list(family("c", "gauge", "Text.", [({}, 0.25)], 1.5))[-1] == "c 0.25 1500"
    histogram.drop(0, "y")
    assert list(histogram.lines()) == []


def test_interfaces_of_a_pod() -> None:
    text = (
        "Inter-|   Receive | Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed\n"
        "    lo:     100       1    0    0    0     0   0   0      100       1    0    0    0     0  0  0\n"
        "  eth0:    5000      10    1    2    0     0   0   0      700       8    3    4    0     0  0  0\n"
    )
    (one,) = parse_interfaces(text)
    assert one == reading.Interface("eth0", 5000, 10, 1, 2, 700, 8, 3, 4)


class Node:
    """A node with its pages, and one pod that runs on it."""

    def __init__(self, data: Path) -> None:
        self.rig = Rig(data)
        node = self.rig.node
        node.engine = node.meters.timed(self.rig.engine)
        node.recorder = node.meters.counted(self.rig.recorder)
        self.meters: Meters = node.meters
        self.workers: list[PodWorker] = []
        about = About("n1", data, {"cpu": 4.0, "memory": 2.0**33}, {"maxPods": 110})
        reader = Reader(node.engine, lambda: self.workers)
        disk = Disk(node.engine, node.volumes, node.files)
        versions = {"kubeletVersion": "v1.36.0+moorage", "architecture": "amd64"}
        self.pages = Pages(about, self.meters, reader, lambda: self.workers, disk.of, lambda: versions)

    async def text(self, path: str, query: str = "") -> str:
        page = await self.pages.answer("GET", path, query)
        assert page.code == 200, page
        return page.body.decode()


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    monkeypatch.setattr(reading, "SHORTEST", 0.05)
    made = Node(tmp_path)
    env = [{"name": "FAKE_MEMORY", "value": "1048576"}, {"name": "FAKE_CPU", "value": "0.5"}]
    limits = {"limits": {"cpu": "1", "memory": "64Mi"}}
    volumes = [{"name": "work", "emptyDir": {}}]
    worker = made.rig.start(pod(container(env=env, resources=limits), volumes=volumes))
    made.workers.append(worker)
    await until(worker.running)
    await until(lambda: made.meters.pod_start.counts or None)
    yield made
    await made.rig.close()


async def test_what_prometheus_reads_of_the_agent(node: Node) -> None:
    found = check_format(text := await node.text("/metrics"))
    for line in (
        "kubelet_running_pods 1",
        'kubelet_running_containers{container_state="running"} 1',
        'kubelet_started_containers_total{container_type="container"} 1',
        "kubelet_started_pods_total 1",
        "kubelet_started_pods_errors_total 0",
        "kubelet_pod_start_duration_seconds_count 1",
        'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 1',
        'kubelet_runtime_operations_total{operation_type="create_container"} 1',
        'kubelet_node_name{node="n1"} 1',
        'kubelet_desired_pods{static=""} 1',
        "kubelet_mirror_pods 0",
    ):
        assert f"{line}\n" in text
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "kubernetes_build_info"} <= set(found)
    assert "prober_probe_total" not in found, "probes have a page of their own"


async def test_what_prometheus_reads_of_containers(node: Node) -> None:
    text = await node.text("/metrics/cadvisor")
    found = check_format(text)
    assert found["container_cpu_usage_seconds_total"] == found["container_memory_working_set_bytes"] == 1
    own = 'namespace="shop",pod="web"'
    assert re.search(
        f'container_memory_working_set_bytes{{container="c",id="/docker/[0-9a-f]+",.*{own}}} 1048576 ', text
    )
    assert re.search(f'container_spec_memory_limit_bytes{{container="c".*{own}}} {64 * 2**20} ', text)
    assert re.search(f'container_cpu_usage_seconds_total{{container="c".*{own},cpu="total"}} ', text)
    assert "machine_cpu_cores 4\n" in text
    text = await node.text("/metrics/resource")
    found = check_format(text)
    assert {"node_cpu_usage_seconds_total", "node_memory_working_set_bytes", "container_start_time_seconds"} <= set(
        found
    )
    assert re.search(
        'container_memory_working_set_bytes{container="c",namespace="shop",pod="web"} 1048576 [0-9]+', text
    )
    assert re.search('pod_memory_working_set_bytes{namespace="shop",pod="web"} 1048576 [0-9]+', text)
    assert text.endswith("resource_scrape_error 0\n")
    node.rig.engine.available = False
    assert (await node.text("/metrics/resource")).endswith("resource_scrape_error 1\n")
    assert (await node.pages.answer("GET", "/metrics/cadvisor", "")).code == 500


async def test_what_prometheus_reads_of_probes(node: Node) -> None:
    (worker,) = node.workers
    for result in (Result(True), Result(False, "no"), Result(False, "?", unknown=True)):
        word = "unknown" if result.unknown else ("successful" if result.ok else "failed")
        node.meters.probed("liveness", word, worker.pod, "c", 0.02)
    text = await node.text("/metrics/probes")
    check_format(text)
    for word in ("successful", "failed", "unknown"):
        labels = f'probe_type="Liveness",result="{word}",container="c",pod="web",namespace="shop",pod_uid="uid-web"'
        assert f"prober_probe_total{{{labels}}} 1\n" in text
    assert (
        'prober_probe_duration_seconds_count{probe_type="Liveness",container="c",pod="web",namespace="shop"} 3' in text
    )
    node.meters.forget(worker.pod)
    assert await node.text("/metrics/probes") == "", "what is no more has no numbers"


async def test_the_summary(node: Node, tmp_path: Path) -> None:
    (worker,) = node.workers
    (running,) = worker.running()
    layer, log = tmp_path / "layer", tmp_path / "c.log"
    layer.mkdir()
    (layer / "file").write_bytes(b"x" * 10_000)
    log.write_bytes(b"x" * 5_000)
    (tmp_path / "c.log.1").write_bytes(b"x" * 5_000)
    node.rig.engine.own_files[running.container.name] = Places(str(layer), str(log))
    work = node.rig.node.volumes.path(worker.pod, worker.pod["spec"]["volumes"][0])
    (work / "file").write_bytes(b"x" * 20_000)
    found = orjson.loads(await node.text("/stats/summary"))
    assert found["node"]["nodeName"] == "n1"
    assert {"cpu", "memory", "fs", "network", "runtime", "rlimit"} <= set(found["node"])
    (entry,) = found["pods"]
    assert entry["podRef"] == {"name": "web", "namespace": "shop", "uid": "uid-web"}
    (one,) = entry["containers"]
    assert one["memory"]["workingSetBytes"] == 1_048_576
    assert one["memory"]["availableBytes"] == 63 * 2**20
    assert 0.2e9 < one["cpu"]["usageNanoCores"] < 1e9
    assert 10_000 <= one["rootfs"]["usedBytes"] < 30_000
    assert 10_000 <= one["logs"]["usedBytes"] < 30_000
    (volume,) = entry["volume"]
    assert (volume["name"], 20_000 <= volume["usedBytes"] < 40_000) == ("work", True)
    assert entry["ephemeral-storage"]["usedBytes"] >= 40_000
    small = orjson.loads(await node.text("/stats/summary", "only_cpu_and_memory=true"))
    assert set(small["pods"][0]) == {"podRef", "startTime", "containers", "cpu", "memory", "process_stats"}
    assert "fs" not in small["node"]


async def test_health_pods_and_what_is_not_there(node: Node) -> None:
    for path in ("/healthz", "/healthz/ping", "/healthz/"):
        assert await node.text(path) == "ok"
    assert [one["metadata"]["name"] for one in orjson.loads(await node.text("/pods"))["items"]] == ["web"]
    (running,) = orjson.loads(await node.text("/runningpods/"))["items"]
    assert running["spec"]["containers"] == [{"name": "c", "image": "app:1", "resources": {}}]
    assert orjson.loads(await node.text("/configz")) == {"kubeletconfig": {"maxPods": 110}}
    check_format(await node.text("/metrics/slis"))
    for path in ("", "/", "/metrics/x", "/exec/a/b/c", "/../pods", "//pods"):
        assert (await node.pages.answer("GET", path, "")).code == 404, path
    assert (await node.pages.answer("POST", "/pods", "")).code == 405
