"""Array parameters in PostgreSQL's binary format.

Text arrays cost some 80 times as much to parse in the server, and building them item by item through the driver's adapters
is slow in the client; these encoders join bytes once. Format: ``array_recv`` in PostgreSQL's ``arrayfuncs.c``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

BYTEA, JSON, JSONB, TEXT, INT2, INT4, INT8 = 17, 114, 3802, 25, 21, 23, 20
_HEADER = struct.Struct("!iiIii")
_EMPTY = struct.Struct("!iiI")
_LENGTH = struct.Struct("!i")
_NULL = _LENGTH.pack(-1)
_START = _HEADER.size
"""Where the items of a one-dimensional array begin. An empty array is shorter, and has none."""


class ByteaArray(bytes):
    """An encoded ``bytea[]``."""


class JsonArray(bytes):
    """An encoded ``json[]``."""


class JsonbArray(bytes):
    """An encoded ``jsonb[]``."""


class TextArray(bytes):
    """An encoded ``text[]``."""


class Int2Array(bytes):
    """An encoded ``smallint[]``."""


class Int4Array(bytes):
    """An encoded ``integer[]``."""


class Int8Array(bytes):
    """An encoded ``bigint[]``."""


def encode_array(element: int, items: Sequence[Buffer | None]) -> bytes:
    """One-dimensional array of items that are encoded already; ``element`` is their type's oid."""
    if not items:
        return _EMPTY.pack(0, 0, element)
    pack = _LENGTH.pack
    parts: list[Buffer] = [b""]
    nulls = 0
    for item in items:
        if item is None:
            nulls = 1
            parts.append(_NULL)
        else:
            parts += (pack(len(item)), item)
    parts[0] = _HEADER.pack(1, nulls, element, len(items), 1)
    return b"".join(parts)


def text_array(items: Iterable[str | None]) -> TextArray:
    """Texts; None is NULL."""
    texts = tuple(items)
    return _one_text(texts[0]) if len(texts) == 1 else _texts(texts)


@lru_cache(maxsize=1024)
def _one_text(text: str | None) -> TextArray:
    """Most batches of a quiet server have one member, with the same groups, resources and actors again and again."""
    return _texts((text,))


def _texts(items: Sequence[str | None]) -> TextArray:
    return TextArray(encode_array(TEXT, [None if item is None else item.encode() for item in items]))


def int2_array(items: Iterable[int]) -> Int2Array:
    """Small integers."""
    return Int2Array(encode_array(INT2, [item.to_bytes(2, "big", signed=True) for item in items]))


def int4_array(items: Iterable[int | None]) -> Int4Array:
    """Integers; None is NULL."""
    encoded = [None if item is None else item.to_bytes(4, "big", signed=True) for item in items]
    return Int4Array(encode_array(INT4, encoded))


def int8_array(items: Iterable[int | None]) -> Int8Array:
    """Big integers; None is NULL."""
    encoded = [None if item is None else item.to_bytes(8, "big", signed=True) for item in items]
    return Int8Array(encode_array(INT8, encoded))


def json_array(items: Sequence[bytes | None]) -> JsonArray:
    """JSON texts; None is NULL."""
    return JsonArray(encode_array(JSON, items))


def jsonb_array(items: Iterable[bytes | None]) -> JsonbArray:
    """JSON texts; None is NULL."""
    return JsonbArray(encode_array(JSONB, [jsonb(item) for item in items]))


def bytea_array(items: Sequence[bytes | None]) -> ByteaArray:
    """Byte strings; None is NULL."""
    return ByteaArray(encode_array(BYTEA, items))


def int8(value: int) -> bytes:
    """``bigint``."""
    return value.to_bytes(8, "big", signed=True)


def jsonb(text: bytes | None) -> bytes | None:
    """``jsonb``: a version number before the text."""
    return None if text is None else b"\x01" + text


def read_int2_array(data: bytes) -> list[int]:
    """``smallint[]`` without NULLs."""
    return [value for _, value in struct.iter_unpack("!ih", data[_START:])]


def read_int8_array(data: bytes) -> list[int]:
    """``bigint[]`` without NULLs."""
    return [value for _, value in struct.iter_unpack("!iq", data[_START:])]


def read_text_array(data: bytes) -> list[str]:
    """``text[]`` without NULLs."""
    items, at = [], _START
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        items.append(data[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return items


class _Ready(Dumper):
    """Passes bytes that are encoded already."""

    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer:
        return obj


def _dumper(array: int) -> type[_Ready]:
    return type(f"Ready{array}", (_Ready,), {"oid": array})


class _JsonText(psycopg.adapt.Loader):
    """``json`` as its text's bytes, undecoded."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def adapters() -> AdaptersMap:
    """The driver's adapters with ours: arrays go out as they are, ``json`` comes in as bytes."""
    ours = AdaptersMap(psycopg.adapters)
    for kind, array in (
        (ByteaArray, 1001),
        (JsonArray, 199),
        (JsonbArray, 3807),
        (TextArray, 1009),
        (Int2Array, 1005),
        (Int4Array, 1007),
        (Int8Array, 1016),
    ):
        ours.register_dumper(kind, _dumper(array))
    ours.register_loader("json", _JsonText)
    return ours
