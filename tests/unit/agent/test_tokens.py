"""Tokens of pods' accounts: bound to the pod, replaced in time, used on while the API is away."""

from __future__ import annotations

import datetime
from typing import Any, cast

import pytest

from moorage.client.api import ApiClient
from moorage.client.errors import ApiError, Unreachable
from moorage_agent.tokens import JITTER, LIFE_USED, LONGEST_USE, Tokens, Wanted

NOW = 1_800_000_000.0
POD: dict[str, Any] = {
    "metadata": {"namespace": "town", "name": "walker", "uid": "1"},
    "spec": {"serviceAccountName": "robot"},
}
OWN, VAULT = Wanted(expiration=3607), Wanted("vault", 600)


class Api:
    """Issues tokens for as long as they are asked for, or for ``life`` seconds."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked: list[tuple[str, str, str, dict[str, Any]]] = []
        self.error: Exception | None = None
        self.life = 0

    async def create(
        self, resource: Any, document: dict[str, Any], namespace: str, *, name: str, subresource: str
    ) -> dict[str, Any]:
        self.asked.append((namespace, name, subresource, document["spec"]))
        if self.error is not None:
            raise self.error
        ends = self.now + (self.life or document["spec"]["expirationSeconds"])
        stamp = datetime.datetime.fromtimestamp(ends, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"status": {"token": f"token-{len(self.asked)}", "expirationTimestamp": stamp}}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def tokens(api: Api) -> Tokens:
    return Tokens(cast("ApiClient", api), clock=lambda: api.now)


async def one(tokens: Tokens, wanted: Wanted = OWN) -> str:
    return (await tokens.read(POD, [wanted]))[wanted]


async def test_what_is_asked_for(api: Api, tokens: Tokens) -> None:
    """The pod's account, the volume's audience and life, bound to this very pod."""
    found = await tokens.read(POD, [OWN, VAULT])
    assert set(found) == {OWN, VAULT}
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "walker", "uid": "1"}
    assert api.asked == [
        ("town", "robot", "token", {"audiences": [], "expirationSeconds": 3607, "boundObjectRef": bound}),
        ("town", "robot", "token", {"audiences": ["vault"], "expirationSeconds": 600, "boundObjectRef": bound}),
    ]


async def test_a_token_is_used_for_four_fifths_of_its_life(api: Api, tokens: Tokens) -> None:
    first = await one(tokens)
    api.now += 3607 * LIFE_USED - JITTER - 1
    assert await one(tokens) == first
    api.now += JITTER + 1
    assert await one(tokens) != first


async def test_a_long_token_is_replaced_each_day(api: Api, tokens: Tokens) -> None:
    api.life = 30 * 86_400
    first = await one(tokens)
    api.now += LONGEST_USE
    assert await one(tokens) != first


async def test_what_the_server_gave_counts_and_not_what_was_asked_for(api: Api, tokens: Tokens) -> None:
    api.life = 600
    first = await one(tokens)
    api.now += 600 * LIFE_USED
    assert await one(tokens) != first


@pytest.mark.parametrize("error", [Unreachable("away", sent=False), ApiError(503, {})])
async def test_an_old_token_is_used_on_while_the_api_is_away(api: Api, tokens: Tokens, error: Exception) -> None:
    """Until it ends: then the volume says that it cannot be brought up to date."""
    first = await one(tokens)
    api.error = error
    api.now += 3600
    assert await one(tokens) == first
    api.now += 10
    with pytest.raises(type(error)):
        await one(tokens)
    api.error = None
    assert await one(tokens) != first


async def test_a_pod_made_anew_gets_a_token_of_its_own(api: Api, tokens: Tokens) -> None:
    """Under the same name: its uid is another."""
    first = await one(tokens)
    again = {**POD, "metadata": {**POD["metadata"], "uid": "2"}}
    assert (await tokens.read(again, [OWN]))[OWN] != first
    tokens.forget("1")
    assert await one(tokens) != first
