"""Binary arrays: what we encode is what the driver's own decoder reads."""

from __future__ import annotations

import struct

import pytest
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format

from moorage.store import wire
from moorage.store.database import Adapters


def decode(oid: int, data: bytes) -> object:
    return Transformer(Adapters()).get_loader(oid, Format.BINARY).load(data)


@pytest.mark.parametrize(
    ("oid", "encoded", "expected"),
    [
        (1009, wire.text_array(["a", None, "", 'žluť\\"{},']), ["a", None, "", 'žluť\\"{},']),
        (1009, wire.text_array(["one"]), ["one"]),
        (1009, wire.text_array([]), []),
        (1005, wire.int2_array([1, -2, 3]), [1, -2, 3]),
        (1007, wire.int4_array([None, 2**31 - 1, -(2**31)]), [None, 2**31 - 1, -(2**31)]),
        (1016, wire.int8_array([2**63 - 1, None, 0]), [2**63 - 1, None, 0]),
        (1001, wire.bytea_array([b"\x00\xff", None]), [b"\x00\xff", None]),
        (199, wire.json_array([b'{"a":1}', None]), [b'{"a":1}', None]),
    ],
)
def test_arrays(oid: int, encoded: bytes, expected: list[object]) -> None:
    assert decode(oid, encoded) == expected


def test_arrays_go_out_as_they_are_in_binary() -> None:
    array = wire.text_array(["x"])
    dumper = Transformer(Adapters()).get_dumper(array, PyFormat.AUTO)
    assert (dumper.oid, dumper.format, dumper.dump(array)) == (1009, Format.BINARY, bytes(array))


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises((OverflowError, struct.error)):
        wire.int4_array([2**31])
