"""The protobuf wire format: one message as its fields. Source: protobuf.dev, "Encoding"."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
LARGEST_VARINT = 10
"""Bytes of a 64-bit varint."""


class Truncated(ValueError):
    """The message ends in the middle of a field, or is none."""

    def __init__(self) -> None:
        super().__init__("proto: the message is cut off or is not protobuf")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned varint and the position behind it. Raises Truncated."""
    value = 0
    for count in range(LARGEST_VARINT):
        if at + count >= len(data):
            raise Truncated
        byte = data[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + count + 1
    raise Truncated


def signed(value: int) -> int:
    """A varint as the two's complement integer that int32 and int64 fields carry."""
    return value - (1 << 64) if value >> 63 else value


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a message in the order of its bytes: an int for varints, bytes for everything else.
    Raises Truncated.
    """
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, type_ = key >> 3, key & 7
        if type_ == VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        if type_ == LENGTH:
            size, at = varint(data, at)
        elif type_ == FIXED64:
            size = 8
        elif type_ == FIXED32:
            size = 4
        else:
            raise Truncated
        if number == 0 or at + size > len(data):
            raise Truncated
        yield number, data[at : at + size]
        at += size
