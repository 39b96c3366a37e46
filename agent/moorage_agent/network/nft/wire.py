"""Netlink attributes and messages as bytes. Numbers are big-endian here, as nftables wants them."""

from __future__ import annotations

import struct
from collections.abc import Iterable

NESTED = 0x8000
_HEADER = struct.Struct("=HH")
_MESSAGE = struct.Struct("=IHHII")
_GENERIC = struct.Struct(">BBH")

IPV4 = 2
SUBSYSTEM = 10
BATCH_BEGIN, BATCH_END = 0x10, 0x11
REQUEST, ACK = 0x1, 0x4
CREATE, EXCLUSIVE, APPEND, DUMP = 0x400, 0x200, 0x800, 0x300


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    size = len(value) + 4
    return _HEADER.pack(size, kind) + value + b"\0" * (-size % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NESTED, b"".join(parts))


def u32(kind: int, value: int) -> bytes:
    """A 32 bit number."""
    return attribute(kind, value.to_bytes(4, "big", signed=value < 0))


def u64(kind: int, value: int) -> bytes:
    """A 64 bit number."""
    return attribute(kind, value.to_bytes(8, "big"))


def text(kind: int, value: str) -> bytes:
    """A string, ended by a zero byte."""
    return attribute(kind, value.encode() + b"\0")


def listed(items: Iterable[bytes]) -> bytes:
    """Each as an element of a list."""
    return b"".join(nested(1, item) for item in items)


def message(kind: int, flags: int, sequence: int, body: bytes, *, resource: int = 0, family: int = IPV4) -> bytes:
    """One message. ``kind`` holds the subsystem."""
    size = 20 + len(body)
    return _MESSAGE.pack(size, kind, flags, sequence, 0) + _GENERIC.pack(family, 0, resource) + body


def messages(data: bytes) -> Iterable[tuple[int, int, bytes]]:
    """(type, sequence, payload) of each message in ``data``."""
    offset = 0
    while offset + 16 <= len(data):
        size, kind, _flags, sequence, _port = _MESSAGE.unpack_from(data, offset)
        yield kind, sequence, data[offset + 16 : offset + size]
        offset += (size + 3) & ~3


def count(data: bytes) -> int:
    """How many attributes there are."""
    found, offset = 0, 0
    while offset + 4 <= len(data):
        size = _HEADER.unpack_from(data, offset)[0]
        if size < 4:
            break
        found += 1
        offset += (size + 3) & ~3
    return found


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by their type; the last of several."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        size, kind = _HEADER.unpack_from(data, offset)
        if size < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + size]
        offset += (size + 3) & ~3
    return found
