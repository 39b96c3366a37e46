"""A DNS server that knows a few names, for tests: what a machine's own resolver would be."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

PORT = 53
EVERY = 0.1
"""Seconds between two looks whether the end has come."""


@dataclass
class Resolver:
    """``records`` are texts such as ``a.example. 60 IN A 192.0.2.1`` by the question's name and kind; ``silent`` answers nothing.

    What is longer than a datagram is cut there and whole over a stream. ``asked`` are the names, with "udp" or "tcp".
    """

    address: str
    port: int = PORT
    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    silent: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, data: bytes, way: str) -> bytes:
        """The answer to a question in wire form."""
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text().lower()
        self.asked.append((name, way))
        response = dns.message.make_response(query, recursion_available=True)
        kinds = {known for known_name, known in self.records if known_name == name}
        if not kinds:
            response.set_rcode(dns.rcode.NXDOMAIN)
        for text in self.records.get((name, dns.rdatatype.to_text(question.rdtype)), ()):
            owner, ttl, _, kind, value = text.split(" ", 4)
            response.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, value))
        wire = response.to_wire()
        if way == "udp" and len(wire) > 512:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return wire


@contextmanager
def resolver(address: str, port: int = PORT) -> Iterator[Resolver]:
    """Serve at ``address`` over UDP and TCP, in threads of its own."""
    made = Resolver(address, port)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, port))
    made.port = datagrams.getsockname()[1]
    streams = socket.create_server((address, made.port))

    ended = threading.Event()
    datagrams.settimeout(EVERY)
    streams.settimeout(EVERY)

    def serve_datagrams() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError, ConnectionError):
                data, peer = datagrams.recvfrom(4096)
                if not made.silent:
                    datagrams.sendto(made.answer(data, "udp"), peer)

    def serve_streams() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError, ConnectionError):
                taken, _ = streams.accept()
                taken.settimeout(5)
                with taken, taken.makefile("rb") as reading:
                    (size,) = struct.unpack(">H", reading.read(2))
                    answer = made.answer(reading.read(size), "tcp")
                    taken.sendall(struct.pack(">H", len(answer)) + answer)

    threads = [threading.Thread(target=work) for work in (serve_datagrams, serve_streams)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        datagrams.close()
        streams.close()
