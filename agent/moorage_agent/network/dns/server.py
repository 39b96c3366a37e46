"""Answers over UDP and TCP on the node's address among its pods. A question that is broken or not ours never harms the others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import struct
from collections import Counter
from collections.abc import Iterator
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from moorage_agent.network.dns.upstream import Upstream, UpstreamError
from moorage_agent.network.dns.zone import Answer, Record, Zone

log = logging.getLogger(__name__)

TTL = 5
"""Seconds, as CoreDNS' default for a cluster."""
UDP_SIZE = 512
UDP_MOST = 4096
"""The most that a question may offer to take in one datagram (RFC 6891, 6.2.5)."""
AT_ONCE, AT_ONCE_EACH = 512, 64
"""Questions that wait for an upstream at a time, of all clients and of each; more are refused."""
STREAMS, STREAMS_EACH = 512, 32
"""Connections likewise: a pod must neither take the agent's descriptors nor the other pods' turns."""
ALIASES = 8
IDLE_SECONDS = 10.0


class Turns:
    """At most ``most`` at a time, and ``each`` of one client."""

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each = most, each
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, client: str) -> Iterator[bool]:
        """Whether the client may go on; for the time of the context, its turn counts."""
        may = self._held.total() < self._most and self._held[client] < self._each
        if not may:
            yield False
            return
        self._held[client] += 1
        try:
            yield True
        finally:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]


class DnsServer:
    """One node's server."""

    def __init__(self, zone: Zone, upstream: Upstream) -> None:
        self._zone = zone
        self._upstream = upstream
        self._waiting = Turns(AT_ONCE, AT_ONCE_EACH)
        self._streams = Turns(STREAMS, STREAMS_EACH)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, address: str, port: int = 53, ready: asyncio.Event | None = None) -> None:
        """Serve until cancelled. Raises OSError where the address cannot be used."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(address, port))
        try:
            server = await asyncio.start_server(self._serve_stream, address, port)
            async with server:
                if ready is not None:
                    ready.set()
                await server.serve_forever()
        finally:
            transport.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.sleep(0)  # transports let go of their sockets in the loop's next turn

    def spawn(self, transport: asyncio.DatagramTransport, data: bytes, peer: tuple[str, int]) -> None:
        """Answer one datagram, at once where nobody else has to be asked."""
        task = asyncio.get_running_loop().create_task(self._datagram(transport, data, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _datagram(self, transport: asyncio.DatagramTransport, data: bytes, peer: tuple[str, int]) -> None:
        answer = await self._safely(data, UDP_SIZE, peer[0])
        if answer and not transport.is_closing():
            transport.sendto(answer, peer)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str((writer.get_extra_info("peername") or ("",))[0])
        try:
            with self._streams.one(peer) as may:
                while may:
                    async with asyncio.timeout(IDLE_SECONDS):
                        (size,) = struct.unpack(">H", await reader.readexactly(2))
                        data = await reader.readexactly(size)
                    answer = await self._safely(data, 65535, peer)
                    if not answer:
                        return
                    async with asyncio.timeout(IDLE_SECONDS):
                        writer.write(struct.pack(">H", len(answer)) + answer)
                        await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            return
        finally:
            writer.close()

    async def _safely(self, data: bytes, most: int, peer: str) -> bytes:
        """``respond``, whatever a client sends."""
        try:
            return await self.respond(data, most, peer)
        except Exception:
            # The loop's edge: what no test thought of costs its sender the answer, and nobody else anything.
            log.debug("a question of %s was not understood", peer, exc_info=True)
            return _format_error(data)

    async def respond(self, data: bytes, most: int, peer: str = "") -> bytes:
        """The answer to a question of ``peer`` in wire form; b"" to what is none."""
        try:
            query = dns.message.from_wire(data, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError):
            return _format_error(data)
        if query.flags & dns.flags.QR:
            return b""
        if len(query.question) != 1 or query.opcode() != 0:
            return _refused(query, dns.rcode.NOTIMP)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        limit = max(most, min(query.payload, UDP_MOST)) if most == UDP_SIZE and query.edns >= 0 else most
        if question.rdclass == dns.rdataclass.IN:
            own = self._own(name, dns.rdatatype.to_text(question.rdtype))
            if own is not None:
                return await self._answer(query, own, limit, peer)
        return await self._forward(data, query, most, peer)

    def _own(self, name: str, kind: str) -> Answer | None:
        """What we know; None where somebody else has to be asked."""
        if self._zone.holds(name):
            return self._zone.answer(name, kind)
        if kind == "PTR" and name.endswith(".in-addr.arpa"):
            address = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
            names = self._zone.pointer(address)
            if names:
                return Answer(True, [Record(name, "PTR", each) for each in names])
        return None

    async def _answer(self, query: dns.message.Message, found: Answer, limit: int, peer: str) -> bytes:
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA
        question = query.question[0]
        for record in found.records:
            name = question.name if record.name == _text(question.name) else dns.name.from_text(record.name)
            _add(response.answer, name, record)
        if len(response.answer) == 1 and len(response.answer[0]) > 1:
            response.answer[0] = _shuffled(response.answer[0])
        if found.alias and dns.rdatatype.to_text(question.rdtype) not in ("CNAME", "ANY"):
            await self._follow(response, found.alias, question.rdtype, peer)
        for record in found.more:
            _add(response.additional, dns.name.from_text(record.name), record)
        if not found.exists:
            response.set_rcode(dns.rcode.NXDOMAIN)
        if not response.answer:
            response.authority.append(self._authority())
        return _wire(response, limit)

    async def _follow(
        self, response: dns.message.Message, alias: str, kind: dns.rdatatype.RdataType, peer: str
    ) -> None:
        """Add what the alias stands for, and what that does: stub resolvers do not ask again."""
        for _ in range(ALIASES):
            if not self._zone.holds(alias):
                await self._follow_outside(response, alias, kind, peer)
                return
            found = self._zone.answer(alias, dns.rdatatype.to_text(kind))
            for record in found.records:
                _add(response.answer, dns.name.from_text(record.name), record)
            if not found.alias:
                return
            alias = found.alias

    async def _follow_outside(
        self, response: dns.message.Message, alias: str, kind: dns.rdatatype.RdataType, peer: str
    ) -> None:
        try:
            query = dns.message.make_query(alias, kind).to_wire()
            with self._waiting.one(peer) as may:
                answer = dns.message.from_wire(await self._upstream.ask(query, stream=False)) if may else None
                if answer is not None and answer.flags & dns.flags.TC:
                    answer = dns.message.from_wire(await self._upstream.ask(query, stream=True))
        except (UpstreamError, dns.exception.DNSException, ValueError):
            return
        if answer is not None:
            response.answer.extend(answer.answer)

    async def _forward(self, data: bytes, query: dns.message.Message, most: int, peer: str) -> bytes:
        try:
            with self._waiting.one(peer) as may:
                if not may:
                    return _refused(query, dns.rcode.REFUSED)
                return await self._upstream.ask(data, stream=most != UDP_SIZE)
        except UpstreamError as error:
            log.debug("no answer from upstream: %s", error)
            return _refused(query, dns.rcode.SERVFAIL)

    def _authority(self) -> dns.rrset.RRset:
        domain = self._zone.domain
        text = f"ns.dns.{domain}. hostmaster.{domain}. 1 7200 1800 86400 {TTL}"
        return dns.rrset.from_text(f"{domain}.", TTL, "IN", "SOA", text)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        # Neither asyncio's own transport nor uvloop's is a subclass of the abstract one before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Called by asyncio."""
        assert self._transport is not None
        self._server.spawn(self._transport, data, addr)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _add(section: list[dns.rrset.RRset], name: dns.name.Name, record: Record) -> None:
    """One record, together with the others of its name and kind."""
    value = f'"{record.text}"' if record.kind == "TXT" else record.text
    if record.kind in ("CNAME", "PTR", "SRV"):
        value += "."
    new = dns.rrset.from_text(name, TTL, "IN", record.kind, value)
    for known in section:
        if known.name == name and known.rdtype == new.rdtype:
            known.add(new[0], TTL)
            return
    section.append(new)


def _shuffled(records: dns.rrset.RRset) -> dns.rrset.RRset:
    """Spread clients over the addresses."""
    items = list(records)
    random.shuffle(items)
    return dns.rrset.from_rdata_list(records.name, TTL, items)


def _wire(response: dns.message.Message, limit: int) -> bytes:
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer.clear()
        response.additional.clear()
        response.authority.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()


def _refused(query: dns.message.Message, code: dns.rcode.Rcode) -> bytes:
    response = dns.message.make_response(query, recursion_available=True)
    response.set_rcode(code)
    return response.to_wire()


def _format_error(data: bytes) -> bytes:
    """FORMERR with the question's number, where there is one (RFC 1035, 4.1.1)."""
    if len(data) < 12 or data[2] & 0x80:
        return b""
    return data[:2] + b"\x80\x01" + bytes(8)
