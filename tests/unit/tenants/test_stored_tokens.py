from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.store.contracts import Unavailable
from moorage.store.tokens import TokenRow
from moorage_tenants.authentication import header, stored, text
from moorage_tenants.authentication.bootstrap import BadTokens, read_bootstrap
from moorage_tenants.authentication.chain import Authentication
from moorage_tenants.authentication.header import credentials
from moorage_tenants.authentication.scopes import EXTRA
from moorage_tenants.authentication.stored import StoredTokens
from moorage_tenants.authentication.text import digest


class Table:
    """Rows in memory; counts lookups, can be out of reach."""

    def __init__(self) -> None:
        self.by_hash: dict[str, TokenRow] = {}
        self.lookups = 0
        self.at_once = self.most_at_once = 0
        self.away = False
        self.used: dict[str, float] = {}

    async def find(self, sha256: str) -> TokenRow | None:
        self.lookups += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.away:
            raise Unavailable("PostgreSQL cannot be reached")
        return self.by_hash.get(sha256)

    async def add(self, row: TokenRow) -> None:
        self.by_hash[row.sha256] = row

    async def claim(self, sha256: str) -> TokenRow | None:
        return self.by_hash.get(sha256)

    async def touch(self, used: Mapping[str, float]) -> None:
        if self.away:
            raise Unavailable("PostgreSQL cannot be reached")
        self.used = dict(used)

    async def revoke(self, sha256: str) -> bool:
        return await self.remove(sha256)

    async def rows(self) -> Sequence[TokenRow]:
        return list(self.by_hash.values())

    async def remove(self, sha256: str) -> bool:
        return self.by_hash.pop(sha256, None) is not None


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(table: Table, clock: Clock) -> StoredTokens:
    return StoredTokens(table, clock=clock)


@pytest.fixture
def authenticator(tokens: StoredTokens, clock: Clock) -> Authentication:
    return Authentication(stored=tokens, clock=clock)


def row(token: str, **more: object) -> TokenRow:
    return TokenRow(**{"sha256": digest(token), "user": "team:a", "groups": ("teams:a",), "created_at": 0.0, **more})  # type: ignore[arg-type] # keyword arguments of a test


async def test_a_token_names_its_user(authenticator: Authentication, table: Table) -> None:
    await table.add(row("secret"))
    identity = await authenticator.authenticate("Bearer secret")
    assert identity is not None
    assert (identity.name, identity.groups) == ("team:a", frozenset({"teams:a", "system:authenticated"}))
    basic = base64.b64encode(b"anybody:secret").decode()
    assert await authenticator.authenticate(f"Basic {basic}") == identity


async def test_one_lookup_serves_many_requests(authenticator: Authentication, table: Table) -> None:
    await table.add(row("secret"))
    await asyncio.gather(*(authenticator.authenticate("Bearer secret") for _ in range(50)))
    await authenticator.authenticate("Bearer secret")
    assert table.lookups == 1


async def test_a_revoked_token_is_refused_within_seconds(
    authenticator: Authentication, table: Table, clock: Clock
) -> None:
    await table.add(row("secret"))
    assert await authenticator.authenticate("Bearer secret")
    await table.remove(digest("secret"))
    clock.now += stored.TTL + 0.1
    assert await authenticator.authenticate("Bearer secret") is None


async def test_where_it_was_revoked_it_is_refused_at_once(
    authenticator: Authentication, tokens: StoredTokens, table: Table
) -> None:
    await table.add(row("secret"))
    assert await authenticator.authenticate("Bearer secret")
    await table.remove(digest("secret"))
    tokens.forget(digest("secret"))
    assert await authenticator.authenticate("Bearer secret") is None


async def test_a_token_expires_even_while_it_is_cached(
    authenticator: Authentication, table: Table, clock: Clock
) -> None:
    await table.add(row("secret", expires_at=clock.now + 1))
    assert await authenticator.authenticate("Bearer secret")
    clock.now += 1
    assert await authenticator.authenticate("Bearer secret") is None
    clock.now += stored.TTL
    assert await authenticator.authenticate("Bearer secret") is None


async def test_made_up_tokens_neither_fill_the_memory_nor_take_all_connections(
    authenticator: Authentication, tokens: StoredTokens, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "CACHED", 10)
    answers = await asyncio.gather(*(authenticator.authenticate(f"Bearer {number}") for number in range(100)))
    assert answers == [None] * 100
    assert len(tokens._answers) <= 10
    assert table.most_at_once <= stored.LOOKUPS


async def test_an_outage_is_no_refusal(authenticator: Authentication, table: Table) -> None:
    table.away = True
    with pytest.raises(Unavailable):
        await authenticator.authenticate("Bearer secret")
    table.away = False
    await table.add(row("secret"))
    assert await authenticator.authenticate("Bearer secret")


async def test_bootstrap_tokens_need_no_database(table: Table, tmp_path: Path) -> None:
    table.away = True
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps([{"sha256": digest("root"), "user": "admin", "groups": ["system:masters"]}]))
    identity = await Authentication(stored=StoredTokens(table), bootstrap=read_bootstrap(file)).authenticate(
        "Bearer root"
    )
    assert identity is not None
    assert "system:masters" in identity.groups


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot be read"),
        ("{}", "must be a list"),
        ('[{"sha256": "00", "user": "a", "groups": []}]', "[0]"),
        ('[{"sha256": "%s", "user": "", "groups": []}]' % ("0" * 64), "[0]"),
        ('[{"sha256": "%s", "user": "a", "groups": [1]}]' % ("0" * 64), "[0]"),
    ],
)
def test_a_broken_bootstrap_file_is_refused_with_its_place(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(text)
    with pytest.raises(BadTokens, match=why.replace("[", r"\[")):
        read_bootstrap(file)


@given(st.text(max_size=60))
def test_no_header_breaks_the_parser(value: str) -> None:
    token = credentials(value)
    assert token is None or 0 < len(token) <= header.LONGEST


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic", "Basic !!!", "Basic " + "YTo=", "Digest x", "secret"]
)
def test_what_holds_no_token_is_none(header: str) -> None:
    assert credentials(header) is None


def test_a_join_token_carries_the_hash_of_the_ca() -> None:
    from moorage.client.join import parse

    assert parse(text.new_join_token("ab" * 32)).ca_sha256 == "ab" * 32


async def test_a_join_token_is_nobody(authenticator: Authentication, table: Table) -> None:
    await table.add(row("secret", kind="join"))
    assert await authenticator.authenticate("Bearer secret") is None


@pytest.mark.parametrize("ended", [{"revoked_at": 5.0}, {"used_at": 5.0}, {"expires_at": 5.0}])
async def test_what_was_ended_is_refused(authenticator: Authentication, table: Table, ended: dict[str, float]) -> None:
    await table.add(row("secret", **ended))
    assert await authenticator.authenticate("Bearer secret") is None


async def test_scopes_go_with_the_identity(authenticator: Authentication, table: Table) -> None:
    await table.add(row("secret", scopes=("git", "namespace:blue")))
    identity = await authenticator.authenticate("Bearer secret")
    assert identity is not None
    assert identity.extra[EXTRA] == ("git", "namespace:blue")


async def test_last_uses_are_noted_and_survive_an_outage(
    authenticator: Authentication, tokens: StoredTokens, table: Table, clock: Clock
) -> None:
    await table.add(row("secret"))
    await authenticator.authenticate("Bearer secret")
    table.away = True
    await tokens.note_uses()
    table.away = False
    await tokens.note_uses()
    assert table.used == {digest("secret"): clock.now}


def test_oversized_tokens_are_refused_unread() -> None:
    assert credentials("Bearer " + "x" * header.LONGEST) is not None
    assert credentials("Bearer " + "x" * (header.LONGEST + 1)) is None
    assert credentials("Basic " + base64.b64encode(b"a:" + b"x" * (header.LONGEST + 1)).decode()) is None
