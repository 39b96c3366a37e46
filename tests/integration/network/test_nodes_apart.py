"""The network between a node apart and its machine: links, addresses, the way to loopback addresses; nothing of it stays."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from moorage_agent.apart import underlay
from moorage_agent.apart.launch import ApartError, clear, relayed
from moorage_agent.apart.relay import Address, relays
from moorage_agent.network.making import obstacle
from moorage_agent.visiting import network

reason = obstacle("unix:///var/run/docker.sock")
pytestmark = pytest.mark.skipif(bool(reason), reason=f"no kernel network here: {reason}")
CLUSTER = f"test-underlay-{os.getpid()}"


def shown(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def there() -> Iterator[int]:
    """The network of a node apart."""
    descriptor, place = underlay.join(CLUSTER)
    yield descriptor
    os.close(descriptor)
    underlay.leave(place.mark, place.link)
    assert place.mark not in shown("ip", "-br", "link")
    assert place.mark not in shown("iptables", "-S", "FORWARD")


def _ping(descriptor: int, address: object) -> bool:
    inside = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{descriptor}"]
    sending = "import socket;s=socket.create_connection(('{0}',{1}),3);print(s.getsockname()[0])"
    with socket.create_server(("0.0.0.0", 0)) as listening:
        code = sending.format(address, listening.getsockname()[1])
        done = subprocess.run([*inside, "python3", "-c", code], capture_output=True, text=True, check=False)
    return done.returncode == 0


def test_nodes_of_a_cluster_have_a_link_each_and_get_theirs_again() -> None:
    first, one = underlay.join(CLUSTER)
    second, two = underlay.join(CLUSTER)
    try:
        assert one.mark == two.mark
        assert one.machine == two.machine
        assert one.address != two.address
        assert _ping(first, one.machine)
        assert _ping(second, one.machine)
    finally:
        os.close(second)
        underlay.leave(two.mark, two.link)
    try:
        again, back = underlay.join(CLUSTER, underlay.offset(two))
        os.close(again)
        underlay.leave(back.mark, back.link)
        assert back.address == two.address
        assert IPv4Address(one.address) in underlay.POOL
        assert one.mark in shown("ip", "-br", "link")
    finally:
        os.close(first)
        underlay.leave(one.mark, one.link)
    assert one.mark not in shown("ip", "-br", "link")


async def test_what_listens_on_loopback_addresses_is_reached(there: int) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    datagrams.setblocking(False)
    udp = datagrams.getsockname()[1]

    async def answer() -> None:
        loop = asyncio.get_running_loop()
        data, peer = await loop.sock_recvfrom(datagrams, 100)
        await loop.sock_sendto(datagrams, data.upper(), peer)

    def ask(kind: int, number: int, text: bytes) -> bytes:
        with network(there):
            asking = socket.socket(socket.AF_INET, kind)
        with asking:
            asking.settimeout(5)
            asking.connect(("127.0.0.1", number))
            asking.sendall(text)
            if kind == socket.SOCK_STREAM:
                asking.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: asking.recv(65536), b"")) if kind == socket.SOCK_STREAM else asking.recv(100)

    answering = asyncio.create_task(answer())
    async with server, relays(there, [Address("127.0.0.1", port), Address("127.0.0.1", udp, "udp")]):
        text = b"x" * 1_000_000
        assert await asyncio.to_thread(ask, socket.SOCK_STREAM, port, text) == text
        assert await asyncio.to_thread(ask, socket.SOCK_DGRAM, udp, b"name") == b"NAME"
        await answering
        server.close()
        # Nobody listens any more: the connection is closed, and the relay goes on.
        assert await asyncio.to_thread(ask, socket.SOCK_STREAM, port, b"") == b""
    datagrams.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(ask, socket.SOCK_STREAM, port, b"")


def test_only_loopback_addresses_are_relayed() -> None:
    assert relayed("https://127.0.0.1:6443", ["10.0.0.2"]) == [Address("127.0.0.1", 6443)]
    assert relayed("https://localhost", []) == [Address("127.0.0.1", 443)]
    local = [Address("127.0.0.53", 53, "udp"), Address("127.0.0.53", 53, "tcp")]
    assert relayed("https://api.example.com:6443", ["127.0.0.53", "10.0.0.2"]) == local


def test_clearing_a_folder_of_another_kind_does_nothing(tmp_path: Path) -> None:
    clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "apart.json").write_text('{"mark": "m00000u", "link": "m00000u02"}')
    clear(tmp_path)
    with (tmp_path / "apart.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ApartError, match="stop it first"):
            clear(tmp_path)
