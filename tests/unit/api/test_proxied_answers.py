"""Answers of pods that do not keep to the bounds."""

from __future__ import annotations

import asyncio

import pytest

from moorage.api.proxying.answers import LONGEST_HEAD, Answer, Broken

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def _body(*said: bytes) -> tuple[Answer, bytes]:
    reader = asyncio.StreamReader()
    for part in said:
        reader.feed_data(part)
    reader.feed_eof()
    answer = Answer(reader, bodiless=False)
    await answer.head()
    return answer, b"".join([piece async for piece in answer])


async def test_headers_after_the_body_are_none_of_the_answer() -> None:
    answer, body = await _body(HEAD, b"3\r\nabc\r\n0\r\n", b"set-cookie: a=b\r\n\r\n")
    assert body == b"abc"
    assert [name for name, _ in answer.headers] == [b"transfer-encoding"]


@pytest.mark.parametrize("endless", [b"a: b\r\n" * LONGEST_HEAD, b"a: " + b"b" * 6 * LONGEST_HEAD])
async def test_headers_after_the_body_that_do_not_end_are_cut_off(endless: bytes) -> None:
    with pytest.raises(Broken, match="without a piece of the body"):
        await _body(HEAD, b"3\r\nabc\r\n0\r\n", endless)


async def test_a_long_body_in_small_pieces_is_passed_on_whole() -> None:
    pieces = [b"1\r\nx\r\n"] * (LONGEST_HEAD // 2)
    _, body = await _body(HEAD, *pieces, b"0\r\n\r\n")
    assert len(body) == len(pieces)
