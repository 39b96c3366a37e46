"""The small tables beside the objects: data keys, tokens, tunnels, limits, refs."""

from __future__ import annotations

import asyncio

import pytest

from moorage.store.contracts import RefUpdate
from moorage.store.tokens import TokenRow
from moorage.store.tunnels import TunnelHolder
from tests.support.store import ORIGIN, create, key, store


async def test_all_processes_agree_on_a_namespaces_data_key(database_url: str) -> None:
    async with store(database_url, "one") as one, store(database_url, "two") as two:
        await asyncio.gather(one.keys.add_data_key("ns", "k1", b"w1"), two.keys.add_data_key("ns", "k2", b"w2"))
        keys = await one.keys.data_keys("ns")
        assert keys == await two.keys.data_keys("ns")
        assert sorted(keys) == [("k1", b"w1"), ("k2", b"w2")]
        await two.keys.add_data_key("ns", "k3", b"w3", generation=2)
        assert [key_id for key_id, _ in await one.keys.data_keys("ns")] == ["k3", *(key_id for key_id, _ in keys)]
        assert await one.keys.data_keys("other") == []


async def test_tokens(database_url: str) -> None:
    row = TokenRow("a" * 64, "team:x", ("teams:x", "y"), created_at=1000.5, expires_at=2000.25, description="d")
    async with store(database_url) as one:
        assert await one.tokens.find(row.sha256) is None
        await one.tokens.add(row)
        await one.tokens.add(TokenRow("b" * 64, "u", (), created_at=999.0))
        assert await one.tokens.find(row.sha256) == row
        assert [token.user for token in await one.tokens.rows()] == ["u", "team:x"]
        assert await one.tokens.remove(row.sha256)
        assert not await one.tokens.remove(row.sha256)


async def test_a_tunnel_belongs_to_the_server_that_held_it_last(database_url: str) -> None:
    async with store(database_url) as one:
        await one.tunnels.hold("n", "s1", "10.0.0.1:1", 60)
        assert await one.tunnels.find("n") == TunnelHolder("s1", "10.0.0.1:1")
        await one.tunnels.hold("n", "s2", "10.0.0.2:1", 60)
        assert not await one.tunnels.renew("n", "s1", 60)
        await one.tunnels.release("n", "s1")
        assert await one.tunnels.find("n") == TunnelHolder("s2", "10.0.0.2:1")
        assert await one.tunnels.renew("n", "s2", -1)
        assert await one.tunnels.find("n") is None


async def test_refs(database_url: str) -> None:
    async with store(database_url) as one:
        assert await one.ref("r", "refs/heads/main") == ""
        moves = [RefUpdate("r", "refs/heads/main", "", "1" * 40), RefUpdate("r", "refs/tags/v1", "", "2" * 40)]
        (verdict,) = await one.commit([create(key("a"))], ORIGIN, atomic=True, refs=moves)
        assert verdict.outcome.value == "written"
        assert await one.refs("r") == {"refs/heads/main": "1" * 40, "refs/tags/v1": "2" * 40}
        (verdict,) = await one.commit([], ORIGIN, atomic=True, refs=[RefUpdate("r", "refs/heads/main", "", "3" * 40)])
        assert verdict.outcome.value == "precondition"
        assert await one.ref("r", "refs/heads/main") == "1" * 40
        with pytest.raises(ValueError, match="atomic=True"):
            await one.commit([create(key("b"))], ORIGIN, refs=moves)
