"""Small writes leave together and in order; large ones are not copied."""

from __future__ import annotations

import asyncio

from moorage.api.corking import LARGE, CorkedTransport
from tests.support.wait import until


class Recorder(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_what_is_written_in_one_turn_leaves_as_one() -> None:
    below = Recorder()
    corked = CorkedTransport(below, asyncio.get_running_loop())
    corked.write(b"head")
    corked.write(b"body")
    assert below.writes == []
    await until(lambda: len(below.writes) == 1)
    assert below.writes == [b"headbody"]
    corked.write(b"more")
    await until(lambda: below.writes == [b"headbody", b"more"])


async def test_a_large_part_follows_what_was_held() -> None:
    below = Recorder()
    corked = CorkedTransport(below, asyncio.get_running_loop())
    large = b"x" * LARGE
    corked.write(b"head")
    corked.write(large)
    assert below.writes == [b"head", large]
    corked.write(b"tail")
    await until(lambda: below.writes == [b"head", large, b"tail"])


async def test_closing_loses_nothing() -> None:
    below = Recorder()
    corked = CorkedTransport(below, asyncio.get_running_loop())
    corked.write(b"last words")
    corked.close()
    assert below.writes == [b"last words"]
    assert corked.is_closing()
