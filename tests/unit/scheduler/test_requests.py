"""What a pod asks for."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.scheduler.requests import HostPort, host_ports, pod_requests, scoring_requests


def _container(cpu: str, **fields: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **fields}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [_container("100m"), _container("0.2")]}, 300),
        ({"containers": [_container("100m")], "initContainers": [_container("1"), _container("500m")]}, 1000),
        ({"containers": [_container("100m")], "initContainers": [_container("1", restartPolicy="Always")]}, 1100),
        (
            {
                "containers": [_container("100m")],
                "initContainers": [_container("1", restartPolicy="Always"), _container("2"), _container("300m")],
            },
            3000,
        ),
        ({"containers": [_container("100m")], "overhead": {"cpu": "50m"}}, 150),
        ({"containers": [_container("100m")], "resources": {"requests": {"cpu": "2"}}}, 2000),
    ],
)
def test_requests_are_the_most_that_is_needed_at_a_time(spec: dict[str, Any], cpu: int) -> None:
    assert pod_requests(spec) == {"cpu": cpu}


def test_containers_that_ask_for_nothing_still_count_in_scores() -> None:
    assert scoring_requests({"containers": [{}, {}]}) == (200, 2 * 200 * 2**20)
    assert pod_requests({"containers": [{}]}) == {}


def test_host_ports_clash_by_address_protocol_and_number() -> None:
    ports = [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2}, {"hostPort": 53, "protocol": "UDP"}]
    assert host_ports({"containers": [{"ports": ports}]}) == (
        HostPort("0.0.0.0", "TCP", 80),
        HostPort("0.0.0.0", "UDP", 53),
    )
    everywhere, here, there = (HostPort(ip, "TCP", 80) for ip in ("0.0.0.0", "10.0.0.1", "10.0.0.2"))
    assert everywhere.clashes(here)
    assert here.clashes(everywhere)
    assert not here.clashes(there)
    assert not everywhere.clashes(HostPort("0.0.0.0", "UDP", 80))
