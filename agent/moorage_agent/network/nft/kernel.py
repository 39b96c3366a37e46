"""The socket to the kernel. Every call blocks for as long as the kernel works (some 0.1 s for thousands of rules)."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

from moorage_agent.network.nft import wire
from moorage_agent.network.nft.batch import Batch

NETLINK_NETFILTER = 12
_SEND_BUFFER_FORCE, _RECEIVE_BUFFER_FORCE = 32, 33
_BUFFER = 64 * 1024 * 1024
_ERROR, _DONE = 2, 3
_GET_TABLE, _GET_RULE, _GET_ELEMENTS, _GET_GENERATION = 1, 7, 13, 16
_NEW_RULE, _NEW_ELEMENTS = 6, 12
_ELEMENTS = 3
_TRIES = 5


class NftError(OSError):
    """The kernel refused a batch; nothing of it was done."""


class Kernel:
    """nftables of the network namespace that the calling thread is in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        for option in (_SEND_BUFFER_FORCE, _RECEIVE_BUFFER_FORCE):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self._socket.bind((0, 0))
        self._socket.settimeout(30.0)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def load(self, batch: Batch) -> None:
        """Make all changes of ``batch`` at once. Raises NftError, with nothing changed."""
        if not len(batch):
            return
        data, last = batch.encode()
        for _ in range(_TRIES):
            self._socket.sendto(data, (0, 0))
            failure = self._answer(last)
            if failure is None:
                return
            code, sequence = failure
            if code not in (errno.EAGAIN, errno.EINTR):
                break
        raise NftError(code, f"{batch.describe(sequence)}: {os.strerror(code)}")

    def has_table(self, name: str) -> bool:
        """Whether the table is there."""
        kind = wire.SUBSYSTEM << 8 | _GET_TABLE
        self._socket.sendto(wire.message(kind, wire.REQUEST | wire.ACK, 1, wire.text(1, name)), (0, 0))
        return self._answer(1) is None

    def generation(self) -> int:
        """A number that every change of any table makes greater."""
        self._socket.sendto(wire.message(wire.SUBSYSTEM << 8 | _GET_GENERATION, wire.REQUEST, 1, b""), (0, 0))
        for _, _, payload in wire.messages(self._socket.recv(1 << 20)):
            return int.from_bytes(wire.attributes(payload[4:])[1], "big")
        raise NftError(errno.EPROTO, "no generation")

    def rules(self, table: str) -> int:
        """How many rules a table has; 0 where it is not there."""
        return sum(kind & 0xFF == _NEW_RULE for kind, _ in self._dump(_GET_RULE, wire.text(1, table)))

    def elements(self, table: str, name: str) -> int:
        """How many elements a set has; 0 where it is not there."""
        found = 0
        for kind, payload in self._dump(_GET_ELEMENTS, wire.text(1, table) + wire.text(2, name)):
            if kind & 0xFF == _NEW_ELEMENTS:
                found += wire.count(wire.attributes(payload[4:]).get(_ELEMENTS, b""))
        return found

    def _dump(self, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        """(type, payload) of each message of a dump; nothing where what is asked for is not there."""
        message = wire.message(wire.SUBSYSTEM << 8 | kind, wire.REQUEST | wire.DUMP, 1, body)
        self._socket.sendto(message, (0, 0))
        while True:
            for answer, _, payload in wire.messages(self._socket.recv(1 << 20)):
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    if code == errno.ENOENT:
                        return
                    raise NftError(code, os.strerror(code))
                yield answer, payload

    def tables(self) -> list[str]:
        """Names of all IPv4 tables."""
        payloads = (payload for _, payload in self._dump(_GET_TABLE, b""))
        return [wire.attributes(payload[4:])[1].rstrip(b"\0").decode() for payload in payloads]

    def _answer(self, last: int) -> tuple[int, int] | None:
        """The first error and its message's number, or None. Reads until the kernel has said all."""
        failure: tuple[int, int] | None = None
        while True:
            done = False
            for kind, sequence, payload in wire.messages(self._socket.recv(1 << 20)):
                if kind != _ERROR:
                    continue
                code = -struct.unpack_from("=i", payload)[0]
                if code and failure is None:
                    failure = (code, sequence)
                done = done or sequence >= last or (code != 0 and sequence <= 1)
            if done:
                return failure
