"""Names of the cluster: what Kubernetes' DNS specification 1.1.0 says, over the real wire format."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from moorage_agent.network.dns.server import DnsServer
from moorage_agent.network.dns.upstream import Upstream, servers
from moorage_agent.network.dns.zone import Zone


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {"metadata": {"namespace": "a", "name": name}, "spec": {"ports": ports, **spec}}


def piece(*endpoints: dict[str, Any]) -> dict[str, Any]:
    return {"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": list(endpoints)}


def endpoint(address: str, hostname: str = "", ready: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"addresses": [address], "conditions": {"ready": ready}}
    return {**found, "hostname": hostname} if hostname else found


@pytest.fixture
def zone() -> Zone:
    made = Zone()
    made.set_service("a", "web", service("web", clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"]))
    made.set_service("a", "db", service("db", clusterIP="None", clusterIPs=["None"]))
    entries = [endpoint("10.0.0.1", "first"), endpoint("10.0.0.2"), endpoint("10.0.0.3", ready=False)]
    made.set_slice("a", "db", "db-1", piece(*entries))
    made.set_service("a", "out", service("out", type="ExternalName", externalName="web.a.svc.cluster.local"))
    return made


@asynccontextmanager
async def serving(zone: Zone) -> AsyncIterator[int]:
    """A server on a free port of 127.0.0.1 that has no upstream."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            port = stream.getsockname()[1]
            try:
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
        ready = asyncio.Event()
        task = asyncio.create_task(DnsServer(zone, Upstream(lambda: ())).run("127.0.0.1", port, ready))
        is_ready = asyncio.create_task(ready.wait())
        await asyncio.wait({task, is_ready}, return_when=asyncio.FIRST_COMPLETED)
        is_ready.cancel()
        await asyncio.gather(is_ready, return_exceptions=True)
        if not task.done():
            break
        assert isinstance(task.exception(), OSError)  # somebody took the port meanwhile
    try:
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ask(port: int, name: str, kind: str = "A", *, stream: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    how = dns.asyncquery.tcp if stream else dns.asyncquery.udp
    return await how(query, "127.0.0.1", timeout=5, port=port)


def texts(message: dns.message.Message) -> list[str]:
    return sorted(item.to_text() for records in message.answer for item in records)


@pytest.mark.parametrize(
    ("name", "kind", "wanted"),
    [
        ("web.a.svc.cluster.local", "A", ["10.96.0.9"]),
        ("WEB.a.svc.Cluster.Local", "A", ["10.96.0.9"]),
        ("web.a.svc.cluster.local", "AAAA", []),
        ("_http._tcp.web.a.svc.cluster.local", "SRV", ["0 100 80 web.a.svc.cluster.local."]),
        ("db.a.svc.cluster.local", "A", ["10.0.0.1", "10.0.0.2"]),
        ("first.db.a.svc.cluster.local", "A", ["10.0.0.1"]),
        ("10-0-0-2.db.a.svc.cluster.local", "A", ["10.0.0.2"]),
        (
            "_http._tcp.db.a.svc.cluster.local",
            "SRV",
            ["0 50 8080 10-0-0-2.db.a.svc.cluster.local.", "0 50 8080 first.db.a.svc.cluster.local."],
        ),
        ("out.a.svc.cluster.local", "A", ["10.96.0.9", "web.a.svc.cluster.local."]),
        ("out.a.svc.cluster.local", "CNAME", ["web.a.svc.cluster.local."]),
        ("10-1-2-3.a.pod.cluster.local", "A", ["10.1.2.3"]),
        ("9.0.96.10.in-addr.arpa", "PTR", ["web.a.svc.cluster.local."]),
        ("1.0.0.10.in-addr.arpa", "PTR", ["first.db.a.svc.cluster.local."]),
        ("dns-version.cluster.local", "TXT", ['"1.1.0"']),
    ],
)
async def test_names_that_are_there(zone: Zone, name: str, kind: str, wanted: list[str]) -> None:
    async with serving(zone) as port:
        for stream in (False, True):
            found = await ask(port, name, kind, stream=stream)
            assert found.rcode() == dns.rcode.NOERROR
            assert texts(found) == wanted


@pytest.mark.parametrize(
    "name",
    [
        "nothing.a.svc.cluster.local",
        "web.b.svc.cluster.local",
        "_smtp._tcp.web.a.svc.cluster.local",
        "second.db.a.svc.cluster.local",
        "10-0-0-3.db.a.svc.cluster.local",
        "x.web.a.svc.cluster.local",
        "not-an-address.a.pod.cluster.local",
        "web.a.svc.cluster.local.cluster.local",
    ],
)
async def test_names_that_are_not_there(zone: Zone, name: str) -> None:
    async with serving(zone) as port:
        found = await ask(port, name)
    assert found.rcode() == dns.rcode.NXDOMAIN
    assert found.authority[0].to_text().startswith("cluster.local. 5 IN SOA")


async def test_names_follow_their_services(zone: Zone) -> None:
    zone.set_service("a", "web", None)
    zone.set_service("a", "out", service("out", clusterIP="10.96.0.10"))
    zone.set_slice("a", "db", "db-1", None)
    async with serving(zone) as port:
        assert (await ask(port, "web.a.svc.cluster.local")).rcode() == dns.rcode.NXDOMAIN
        assert texts(await ask(port, "out.a.svc.cluster.local")) == ["10.96.0.10"]
        assert (await ask(port, "db.a.svc.cluster.local")).rcode() == dns.rcode.NXDOMAIN
    assert zone.pointer("10.96.0.9") is None
    assert zone.pointer("10.0.0.1") is None


async def test_many_addresses_need_a_stream(zone: Zone) -> None:
    zone.set_slice("a", "db", "db-1", piece(*(endpoint(f"10.1.0.{number}") for number in range(1, 201))))
    async with serving(zone) as port:
        query = dns.message.make_query("db.a.svc.cluster.local", "A", use_edns=False)
        short = await dns.asyncquery.udp(query, "127.0.0.1", timeout=5, port=port)
        assert short.flags & dns.flags.TC
        assert len(texts(await ask(port, "db.a.svc.cluster.local", stream=True))) == 200


async def test_without_an_upstream_other_names_fail(zone: Zone) -> None:
    async with serving(zone) as port:
        assert (await ask(port, "example.com")).rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 11, b"\xff" * 40, b"ab\x01\0\0\x09" + b"\0" * 6])
async def test_broken_questions_get_an_error_or_nothing(zone: Zone, data: bytes) -> None:
    answer = await DnsServer(zone, Upstream(lambda: ())).respond(data, 512)
    assert answer == b"" or answer[:2] == data[:2]


def test_the_machines_servers_without_our_own() -> None:
    text = "# comment\nsearch lan\nnameserver 192.0.2.1\nnameserver 10.244.0.1\nnameserver\noptions rotate\n"
    assert servers(text, ["10.244.0.1"]) == ["192.0.2.1"]
