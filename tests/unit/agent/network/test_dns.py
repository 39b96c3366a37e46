"""Names of the cluster: what Kubernetes' DNS specification 1.1.0 says, over the real wire format."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage_agent.network.dns import upstream
from moorage_agent.network.dns.server import STREAMS_EACH, UDP_MOST, DnsServer, Turns
from moorage_agent.network.dns.upstream import Upstream, servers
from moorage_agent.network.dns.zone import Zone
from tests.support.resolver import Resolver, resolver


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
async def serving(zone: Zone, *asked: str) -> AsyncIterator[int]:
    """A server on a free port of 127.0.0.1 that asks ``asked`` for names of others."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            port = stream.getsockname()[1]
            try:
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
        ready = asyncio.Event()
        task = asyncio.create_task(DnsServer(zone, Upstream(lambda: asked)).run("127.0.0.1", port, ready))
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


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """A resolver that knows ``www.example`` by way of two aliases, a large answer, and an address' name."""
    with resolver("127.0.0.1", 0) as made:
        monkeypatch.setattr(upstream, "PORT", made.port)
        www = [
            "www.example. 60 IN CNAME next.example.",
            "next.example. 60 IN CNAME last.example.",
            "last.example. 60 IN A 192.0.2.80",
        ]
        made.records = {
            ("www.example.", "A"): www,
            ("large.example.", "A"): [f"large.example. 60 IN A 198.51.100.{number}" for number in range(1, 200)],
            ("80.2.0.192.in-addr.arpa.", "PTR"): ["80.2.0.192.in-addr.arpa. 60 IN PTR last.example."],
        }
        yield made


async def test_names_of_others_are_asked_of_the_machines_servers(zone: Zone, outside: Resolver) -> None:
    async with serving(zone, "127.0.0.1") as port:
        assert texts(await ask(port, "www.example")) == ["192.0.2.80", "last.example.", "next.example."]
        assert texts(await ask(port, "80.2.0.192.in-addr.arpa", "PTR")) == ["last.example."]
        assert (await ask(port, "nothing.example")).rcode() == dns.rcode.NXDOMAIN
        none = await ask(port, "www.example", "AAAA")
        assert none.rcode() == dns.rcode.NOERROR
        assert texts(none) == []
        # Nobody else is asked for what is ours, whether it is there or not.
        await ask(port, "web.a.svc.cluster.local")
        await ask(port, "nothing.cluster.local")
    assert {name for name, _ in outside.asked} == {"www.example.", "80.2.0.192.in-addr.arpa.", "nothing.example."}


async def test_answers_that_are_cut_are_asked_again_over_a_stream(zone: Zone, outside: Resolver) -> None:
    zone.set_service("a", "big", service("big", type="ExternalName", externalName="large.example"))
    async with serving(zone, "127.0.0.1") as port:
        short = await ask(port, "large.example")
        assert short.flags & dns.flags.TC
        assert len(texts(await ask(port, "large.example", stream=True))) == 199
        assert outside.asked == [("large.example.", "udp"), ("large.example.", "tcp")]
        # One who asks for an alias of ours gets the whole of what it stands for.
        assert len(texts(await ask(port, "big.a.svc.cluster.local", stream=True))) == 200


async def test_aliases_are_followed_to_their_end(zone: Zone, outside: Resolver) -> None:
    for name, target in (("one", "two.a.svc.cluster.local"), ("two", "www.example"), ("x", "y"), ("y", "x")):
        full = target if "." in target else f"{target}.a.svc.cluster.local"
        zone.set_service("a", name, service(name, type="ExternalName", externalName=full))
    async with serving(zone, "127.0.0.1") as port:
        found = texts(await ask(port, "one.a.svc.cluster.local"))
        assert found == ["192.0.2.80", "last.example.", "next.example.", "two.a.svc.cluster.local.", "www.example."]
        circle = await ask(port, "x.a.svc.cluster.local")
        assert circle.rcode() == dns.rcode.NOERROR
        assert set(texts(circle)) == {"x.a.svc.cluster.local.", "y.a.svc.cluster.local."}


async def test_a_server_that_says_nothing_is_passed_over(
    zone: Zone, outside: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "SECONDS", 0.2)
    with resolver("127.0.0.2", outside.port) as silent:
        silent.silent = True
        async with serving(zone, "127.0.0.2", "127.0.0.1") as port:
            assert "192.0.2.80" in texts(await ask(port, "www.example"))
        async with serving(zone, "127.0.0.2") as port:
            assert (await ask(port, "www.example")).rcode() == dns.rcode.SERVFAIL


async def test_only_answers_to_the_question_count() -> None:
    asked = upstream._Asked(b"ab")
    for data in (b"", b"ab", b"ab\x01\x00", b"xy\x81\x00"):
        asked.datagram_received(data, None)
    assert not asked.answer.done()
    asked.datagram_received(b"ab\x81\x00", None)
    assert asked.answer.result() == b"ab\x81\x00"


def test_a_client_does_not_take_the_turns_of_others() -> None:
    turns = Turns(3, 2)
    with turns.one("a") as first, turns.one("a") as second, turns.one("a") as third, turns.one("b") as other:
        assert (first, second, third, other) == (True, True, False, True)
        with turns.one("c") as late:
            assert not late
    with turns.one("a") as again, turns.one("a") as more:
        assert again
        assert more


async def test_a_client_cannot_hold_all_connections(zone: Zone) -> None:
    async with serving(zone) as port, AsyncExitStack() as stack:
        for _ in range(STREAMS_EACH):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        stack.callback(writer.close)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert texts(await ask(port, "web.a.svc.cluster.local")) == ["10.96.0.9"]


QUESTION = dns.message.make_query("web.a.svc.cluster.local", "A").to_wire()


@given(
    st.one_of(st.binary(max_size=80), st.tuples(st.integers(2, len(QUESTION) - 1), st.binary(min_size=1, max_size=8)))
)
def test_nothing_that_a_client_sends_harms_the_server(sent: bytes | tuple[int, bytes]) -> None:
    data = sent if isinstance(sent, bytes) else QUESTION[: sent[0]] + sent[1] + QUESTION[sent[0] + len(sent[1]) :]
    zone = Zone()
    zone.set_service("a", "web", service("web", clusterIP="10.96.0.9"))
    server = DnsServer(zone, Upstream(lambda: ()))
    answer = asyncio.run(server.respond(data, 512))
    assert answer == b"" or (answer[:2] == data[:2] and answer[2] & 0x80)
    assert len(answer) <= 512 or len(answer) <= UDP_MOST


@pytest.mark.parametrize("opcode", range(16))
async def test_what_is_no_question_is_refused(zone: Zone, opcode: int) -> None:
    data = bytes([QUESTION[0], QUESTION[1], opcode << 3]) + QUESTION[3:]
    answer = dns.message.from_wire(await DnsServer(zone, Upstream(lambda: ())).respond(data, 512))
    assert answer.rcode() in ([dns.rcode.NOERROR] if opcode == 0 else [dns.rcode.NOTIMP, dns.rcode.FORMERR])
