"""A node's credential: exchanged once, renewed in time, whatever gets lost on the way."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from moorage.client.errors import ApiError, Unreachable
from moorage_agent.joining import FILE, NEXT, Credential

LIFE = 1000.0


@dataclass
class Server:
    """What the API knows: hashes of good credentials, join tokens that were not used. ``fails`` come first."""

    joins: set[str] = field(default_factory=set)
    good: dict[str, str] = field(default_factory=dict)
    """Hash -> the token that it was exchanged for."""
    fails: list[Exception] = field(default_factory=list)
    loses: int = 0
    """Answers that get lost after the work is done."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """Secrets that nodes were seen to hold."""

    async def exchange(self, old: str, sha256: str) -> float:
        self.asked.append((old, sha256))
        if self.fails:
            raise self.fails.pop(0)
        if sha256 in self.good:
            if self.good[sha256] != old:
                raise ApiError(409, {"message": "another credential has this hash"})
        elif old in self.joins:
            self.joins.remove(old)
        elif old not in self.holders:
            raise ApiError(401, {"message": "this join token has been used"})
        self.good[sha256] = old
        if self.loses:
            self.loses -= 1
            raise Unreachable("the connection broke", sent=True)
        return LIFE

    @property
    def holders(self) -> set[str]:
        return {token for token in self.known if _hash(token) in self.good}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Clock:
    """Time passes by sleeping only; after ``most`` sleeps the sleeper is stopped."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.most = 50

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) >= self.most:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


@pytest.fixture
def server() -> Server:
    return Server(joins={"join"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


def node(server: Server, clock: Clock, folder: Path, given: str = "join") -> Credential:
    """A node with a join token; the server comes to know the secrets that lie in its folder."""

    async def exchange(old: str, sha256: str) -> float:
        server.known |= {file.read_text() for file in (folder / FILE, folder / NEXT) if file.exists()}
        return await server.exchange(old, sha256)

    return Credential(folder, lambda: given, exchange, clock=lambda: clock.now, sleep=clock.sleep)


async def test_a_join_token_becomes_a_credential_of_the_nodes_own(server: Server, clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    file = await node(server, clock, folder).obtain()
    assert file == folder / FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert _hash(file.read_text()) in server.good
    assert not (folder / NEXT).exists()
    assert server.joins == set()


async def test_a_lost_answer_costs_nothing(server: Server, clock: Clock, tmp_path: Path) -> None:
    server.loses = 2
    file = await node(server, clock, tmp_path).obtain()
    assert file is not None
    assert len({sha256 for _, sha256 in server.asked}) == 1
    assert list(server.good) == [_hash(file.read_text())]


async def test_a_start_that_was_cut_short_goes_on_with_the_same_secret(
    server: Server, clock: Clock, tmp_path: Path
) -> None:
    server.fails, clock.most = [Unreachable("away", sent=False)], 1
    with pytest.raises(asyncio.CancelledError):
        await node(server, clock, tmp_path).obtain()
    secret = (tmp_path / NEXT).read_text()
    clock.most = 50
    file = await node(server, clock, tmp_path).obtain()
    assert file is not None
    assert file.read_text() == secret


async def test_a_used_join_token_is_refused(server: Server, clock: Clock, tmp_path: Path) -> None:
    await node(server, clock, tmp_path / "one").obtain()
    with pytest.raises(ApiError, match="has been used"):
        await node(server, clock, tmp_path / "other").obtain()
    assert not (tmp_path / "other" / FILE).exists()


async def test_a_token_of_the_installations_own_is_used_as_it_is(server: Server, clock: Clock, tmp_path: Path) -> None:
    server.fails = [ApiError(404, {"message": "not one that can be exchanged"})]
    joining = node(server, clock, tmp_path)
    assert await joining.obtain() is None
    await joining.keep()
    assert clock.slept == []


async def test_a_held_credential_is_renewed_at_the_start_and_the_join_token_left_alone(
    server: Server, clock: Clock, tmp_path: Path
) -> None:
    first = node(server, clock, tmp_path)
    file = await first.obtain()
    assert file is not None
    before = file.read_text()
    assert await node(server, clock, tmp_path).obtain() == file
    assert file.read_text() != before
    assert server.asked[-1][0] == before


async def test_a_node_starts_with_what_it_holds_while_the_api_is_away(
    server: Server, clock: Clock, tmp_path: Path
) -> None:
    file = await node(server, clock, tmp_path).obtain()
    assert file is not None
    before = file.read_text()
    server.fails = [Unreachable("away", sent=False), ApiError(503, {}), ApiError(429, {})]
    again = node(server, clock, tmp_path)
    assert await again.obtain() == file
    assert file.read_text() == before
    clock.most = 3
    with pytest.raises(asyncio.CancelledError):
        await again.keep()
    assert file.read_text() != before


async def test_it_is_renewed_before_a_third_of_its_life_is_left(server: Server, clock: Clock, tmp_path: Path) -> None:
    joining = node(server, clock, tmp_path)
    await joining.obtain()
    clock.most = 4
    with pytest.raises(asyncio.CancelledError):
        await joining.keep()
    assert len(server.good) == 4
    assert all(LIFE / 2 <= seconds < LIFE * 2 / 3 for seconds in clock.slept)
    for old, sha256 in zip([old for old, _ in server.asked][2:], [sha for _, sha in server.asked][1:], strict=False):
        assert _hash(old) == sha256


async def test_what_fails_is_tried_again_with_growing_pauses(server: Server, clock: Clock, tmp_path: Path) -> None:
    joining = node(server, clock, tmp_path)
    file = await joining.obtain()
    assert file is not None
    before = file.read_text()
    server.fails = [ApiError(500, {}) for _ in range(12)]
    clock.most = 15
    with pytest.raises(asyncio.CancelledError):
        await joining.keep()
    pauses = clock.slept[1:13]
    assert pauses[0] < 2
    assert all(0.8 * 300 <= pause <= 1.2 * 300 for pause in pauses[-2:])
    assert file.read_text() != before


async def test_a_refused_credential_is_replaced_by_a_new_join_token(
    server: Server, clock: Clock, tmp_path: Path
) -> None:
    given = "join"
    joining = Credential(tmp_path, lambda: given, server.exchange, clock=lambda: clock.now, sleep=clock.sleep)
    await joining.obtain()
    server.good.clear()
    clock.most = 3
    with pytest.raises(asyncio.CancelledError):
        await joining.keep()
    given = "fresh"
    server.joins.add("fresh")
    clock.most = 6
    with pytest.raises(asyncio.CancelledError):
        await joining.keep()
    assert _hash((tmp_path / FILE).read_text()) in server.good


async def test_a_secret_that_was_spent_elsewhere_is_dropped(server: Server, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / NEXT).write_text("spent")
    server.good[_hash("spent")] = "another token"
    file = await node(server, clock, tmp_path).obtain()
    assert file is not None
    assert file.read_text() != "spent"
