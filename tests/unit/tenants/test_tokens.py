from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.store.contracts import Unavailable
from moorage.store.tokens import TokenRow
from moorage_tenants import token_text, tokens
from moorage_tenants.token_text import digest
from moorage_tenants.tokens import BadTokens, TokenAuthenticator, credentials, read_bootstrap


class Table:
    """Rows in memory; counts lookups, can be out of reach."""

    def __init__(self) -> None:
        self.by_hash: dict[str, TokenRow] = {}
        self.lookups = 0
        self.at_once = self.most_at_once = 0
        self.away = False

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
def authenticator(table: Table, clock: Clock) -> TokenAuthenticator:
    return TokenAuthenticator(table, {}, clock=clock)


def row(token: str, **more: object) -> TokenRow:
    return TokenRow(**{"sha256": digest(token), "user": "team:a", "groups": ("teams:a",), "created_at": 0.0, **more})  # type: ignore[arg-type] # keyword arguments of a test


async def test_a_token_names_its_user(authenticator: TokenAuthenticator, table: Table) -> None:
    await table.add(row("secret"))
    identity = await authenticator.authenticate("Bearer secret")
    assert identity is not None
    assert (identity.name, identity.groups) == ("team:a", frozenset({"teams:a", "system:authenticated"}))
    basic = base64.b64encode(b"anybody:secret").decode()
    assert await authenticator.authenticate(f"Basic {basic}") == identity


async def test_one_lookup_serves_many_requests(authenticator: TokenAuthenticator, table: Table) -> None:
    await table.add(row("secret"))
    await asyncio.gather(*(authenticator.authenticate("Bearer secret") for _ in range(50)))
    await authenticator.authenticate("Bearer secret")
    assert table.lookups == 1


async def test_a_revoked_token_is_refused_within_seconds(
    authenticator: TokenAuthenticator, table: Table, clock: Clock
) -> None:
    await table.add(row("secret"))
    assert await authenticator.authenticate("Bearer secret")
    await table.remove(digest("secret"))
    clock.now += tokens.TTL + 0.1
    assert await authenticator.authenticate("Bearer secret") is None


async def test_where_it_was_revoked_it_is_refused_at_once(authenticator: TokenAuthenticator, table: Table) -> None:
    await table.add(row("secret"))
    assert await authenticator.authenticate("Bearer secret")
    await table.remove(digest("secret"))
    authenticator.forget(digest("secret"))
    assert await authenticator.authenticate("Bearer secret") is None


async def test_a_token_expires_even_while_it_is_cached(
    authenticator: TokenAuthenticator, table: Table, clock: Clock
) -> None:
    await table.add(row("secret", expires_at=clock.now + 1))
    assert await authenticator.authenticate("Bearer secret")
    clock.now += 1
    assert await authenticator.authenticate("Bearer secret") is None
    clock.now += tokens.TTL
    assert await authenticator.authenticate("Bearer secret") is None


async def test_made_up_tokens_neither_fill_the_memory_nor_take_all_connections(
    authenticator: TokenAuthenticator, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "CACHED", 10)
    answers = await asyncio.gather(*(authenticator.authenticate(f"Bearer {number}") for number in range(100)))
    assert answers == [None] * 100
    assert len(authenticator._answers) <= 10
    assert table.most_at_once <= tokens.LOOKUPS


async def test_an_outage_is_no_refusal(authenticator: TokenAuthenticator, table: Table) -> None:
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
    identity = await TokenAuthenticator(table, read_bootstrap(file)).authenticate("Bearer root")
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
def test_no_header_breaks_the_parser(header: str) -> None:
    token = credentials(header)
    assert token is None or 0 < len(token) <= tokens.LONGEST


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic", "Basic !!!", "Basic " + "YTo=", "Digest x", "secret"]
)
def test_what_holds_no_token_is_none(header: str) -> None:
    assert credentials(header) is None


def test_a_join_token_carries_the_hash_of_the_ca() -> None:
    from moorage.client.join import parse

    assert parse(token_text.new_join_token("ab" * 32)).ca_sha256 == "ab" * 32
