"""Which endpoints a Service's rules lead to, what its UDP flows may go on to, and what its health checks answer."""

from __future__ import annotations

import asyncio
import json
import socket
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moorage_agent.network.conntrack import Flow, stale
from moorage_agent.network.flows import Flows
from moorage_agent.network.health import Check, HealthChecks, answer
from moorage_agent.network.rules.base import Facts
from moorage_agent.network.rules.services import Backend, backends, health, targets
from tests.support.wait import until

PODS = IPv4Network("10.1.1.0/24")
FACTS = Facts("n1", "m00000p", IPv4Address("10.1.1.1"), PODS, (), (), "west")


def endpoint(address: str, node: str = "n1", zones: str = "", nodes: str = "", **conditions: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"addresses": [address], "nodeName": node, "conditions": conditions}
    hints = {
        "forZones": [{"name": each} for each in zones.split()],
        "forNodes": [{"name": each} for each in nodes.split()],
    }
    return found | ({"hints": hints} if zones or nodes else {})


def piece(*endpoints: dict[str, Any], protocol: str = "TCP") -> dict[str, Any]:
    return {
        "addressType": "IPv4",
        "ports": [{"name": "a", "port": 80, "protocol": protocol}],
        "endpoints": list(endpoints),
    }


def chosen(*endpoints: dict[str, Any], node: str = "n1", zone: str = "west") -> list[str]:
    return [each.address for each in backends("a", [piece(*endpoints)], node, zone).everywhere]


def test_endpoints_that_end_are_used_when_no_others_are_ready() -> None:
    ending = endpoint("10.1.1.3", ready=False, serving=True, terminating=True)
    ended = endpoint("10.1.1.4", ready=False, serving=False, terminating=True)
    sick = endpoint("10.1.1.5", ready=False, serving=False)
    assert chosen(endpoint("10.1.1.2"), ending, ended, sick) == ["10.1.1.2"]
    assert chosen(ending, ended, sick) == ["10.1.1.3"]
    assert chosen(sick) == []
    local = backends("a", [piece(endpoint("10.1.2.2", "n2", ready=True), ending)], "n1")
    assert local.everywhere == (Backend("10.1.2.2", 80),)
    assert local.here == (Backend("10.1.1.3", 80),)
    assert local.outside == local.here
    beside = backends("a", [piece(endpoint("10.1.2.2", "n2", ready=True), ending)], "n1", "", frozenset({"n2"}))
    assert beside.here == (Backend("10.1.1.3", 80),)
    assert beside.outside == (Backend("10.1.2.2", 80),)


def test_hints_lead_to_the_own_node_then_to_the_own_zone() -> None:
    near = endpoint("10.1.1.2", zones="west", nodes="n1")
    same = endpoint("10.1.2.2", "n2", zones="west", nodes="n2")
    far = endpoint("10.1.3.2", "n3", zones="east", nodes="n3")
    assert chosen(near, same, far) == ["10.1.1.2"]
    assert chosen(same, far) == ["10.1.2.2"]
    assert chosen(far) == ["10.1.3.2"]
    assert chosen(near, same, far, node="n9", zone="") == ["10.1.1.2", "10.1.2.2", "10.1.3.2"]
    # One without hints: the Service does not ask for it (any more), or the slices are being written.
    assert chosen(near, same, endpoint("10.1.3.2", "n3")) == ["10.1.1.2", "10.1.2.2", "10.1.3.2"]
    sick = endpoint("10.1.1.9", ready=False)
    assert chosen(near, far, sick) == ["10.1.1.2"]


def service(**spec: Any) -> dict[str, Any]:
    ports = [
        {"name": "a", "port": 53, "protocol": "UDP", "nodePort": 30053},
        {"name": "b", "port": 80, "protocol": "TCP"},
    ]
    return {"metadata": {"namespace": "x", "name": "dns"}, "spec": {"clusterIP": "10.2.0.9", "ports": ports, **spec}}


def test_udp_flows_may_go_on_to_what_the_service_has() -> None:
    pieces = [piece(endpoint("10.1.1.2"), protocol="UDP")]
    allowed = frozenset({("10.1.1.2", 80)})
    wanted = {("10.2.0.9", 53): allowed, ("", 30053): allowed, ("203.0.113.1", 53): allowed}
    assert targets(service(externalIPs=["203.0.113.1"]), pieces, FACTS) == wanted
    assert targets(service(clusterIP="None"), pieces, FACTS) == {}
    assert targets(service(type="ExternalName", clusterIP=None), pieces, FACTS) == {}
    flow = Flow(("10.2.0.9", 53), ("10.1.1.2", 80), b"", b"")
    gone = flow._replace(answers=("10.1.1.3", 80))
    outside = gone._replace(asked=("192.0.2.2", 30053))
    assert not stale(flow, wanted, lambda _: False)
    assert stale(gone, wanted, lambda _: False)
    assert not stale(outside, wanted, lambda _: False)
    assert stale(outside, wanted, lambda address: address == "192.0.2.2")
    assert not stale(gone._replace(asked=("10.2.0.10", 53)), wanted, lambda _: True)
    assert stale(gone, {("10.2.0.9", 53): frozenset()}, lambda _: False)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "a", "b"])), max_size=20))
def test_flows_are_looked_at_once_for_each_change(steps: list[tuple[int, str]]) -> None:
    flows, known = Flows(), dict.fromkeys(range(4), "")
    for key, backend in steps:
        new = {(f"10.2.0.{key}", 53): frozenset({(backend, 80)})} if backend else {}
        flows.put(key, new)
        taken = flows.take()
        assert (taken is not None) == (known[key] != backend)
        known[key] = backend
        assert taken is None or len(taken) == sum(map(bool, known.values()))
    assert flows.take() is None


def test_health_checks_count_ready_pods_of_the_node() -> None:
    own = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    ending = endpoint("10.1.1.4", ready=False, serving=True, terminating=True)
    pieces = [piece(endpoint("10.1.1.2", ready=True), ending, endpoint("10.1.2.2", "n2", ready=True))]
    assert health(service(**own), pieces, {"n1", "n2"}) == Check("x", "dns", 31000, 2)
    assert health(service(**own), pieces, {"n1"}) == Check("x", "dns", 31000, 1)
    assert health(service(**own), pieces, {"n3"}) == Check("x", "dns", 31000, 0)
    assert health(service(**own | {"externalTrafficPolicy": "Cluster"}), pieces, {"n1"}) is None
    head, _, body = answer(Check("x", "dns", 31000, 2)).decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "X-Load-Balancing-Endpoint-Weight: 2" in head
    wanted = {"service": {"namespace": "x", "name": "dns"}, "localEndpoints": 2, "serviceProxyHealthy": True}
    assert json.loads(body) == wanted
    assert answer(Check("x", "dns", 31000, 0)).startswith(b"HTTP/1.1 503 ")


async def test_ports_of_health_checks_open_and_close() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    checks = HealthChecks()
    running = asyncio.create_task(checks.run())

    async def asked() -> str:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return "closed"
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        line = (await reader.readline()).decode()
        writer.close()
        return line.split(" ")[1] if line else ""

    async def says(wanted: str) -> bool:
        return await asked() == wanted

    checks.put("one", Check("x", "dns", port, 1))
    await until(lambda: says("200"))
    checks.put("one", Check("x", "dns", port, 0))
    await until(lambda: says("503"))
    checks.put("one", None)
    await until(lambda: says("closed"))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
