"""Tokens of ServiceAccounts: bound to objects, for an audience, for a time, signed by keys that rotate."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from joserfc.jwk import RSAKey

from moorage_tenants.authentication.accounts import keys
from moorage_tenants.authentication.accounts.claims import LEGACY_ID, PRIVATE, Ref
from tests.unit.tenants.authentication.signing import (
    ISSUER,
    LONGEST,
    Cluster,
    bound,
    claims_of,
    cluster,
    encoded,
    server,
)

POD, SECRET, NODE = Ref("walker", "walker"), Ref("note", "note"), Ref("ground", "ground")


@pytest.fixture
def town() -> Cluster:
    return cluster()


async def test_a_token_names_the_account_and_what_it_is_bound_to(town: Cluster) -> None:
    token, expires = await town.tokens.issue(bound(pod=POD, node=NODE), [ISSUER], 600)
    assert expires == town.clock.now + 600
    identity = await town.door.identify(token)
    assert identity is not None
    assert identity.name == "system:serviceaccount:town:robot"
    assert identity.uid == "robot"
    assert identity.groups == {"system:serviceaccounts", "system:serviceaccounts:town", "system:authenticated"}
    assert dict(identity.extra) == {
        "authentication.kubernetes.io/pod-name": ("walker",),
        "authentication.kubernetes.io/pod-uid": ("walker",),
        "authentication.kubernetes.io/node-name": ("ground",),
        "authentication.kubernetes.io/node-uid": ("ground",),
        "authentication.kubernetes.io/credential-id": (f"JTI={claims_of(token)['jti']}",),
    }


@pytest.mark.parametrize(
    ("refs", "plural", "place"),
    [
        ({}, "serviceaccounts", ("town", "robot")),
        ({"pod": POD}, "pods", ("town", "walker")),
        ({"pod": POD}, "serviceaccounts", ("town", "robot")),
        ({"secret": SECRET}, "secrets", ("town", "note")),
        ({"node": NODE}, "nodes", ("", "ground")),
    ],
)
async def test_a_token_ends_with_what_it_is_bound_to(
    town: Cluster, refs: dict[str, Ref], plural: str, place: tuple[str, str]
) -> None:
    token, _ = await town.tokens.issue(bound(**refs), [ISSUER], 600)
    assert await town.door.identify(token)
    town.objects.of(plural).drop(*place)
    assert await town.door.identify(token) is None


async def test_an_object_made_anew_does_not_bring_a_token_back(town: Cluster) -> None:
    """Names come again, uids do not."""
    token, _ = await town.tokens.issue(bound(pod=Ref("walker", "the uid of its forerunner")), [ISSUER], 600)
    assert await town.door.identify(token) is None


async def test_a_node_that_goes_leaves_its_pods_tokens_to_the_pods(town: Cluster) -> None:
    token, _ = await town.tokens.issue(bound(pod=POD, node=NODE), [ISSUER], 600)
    town.objects.of("nodes").drop("", "ground")
    assert await town.door.identify(token)


async def test_a_cache_that_lags_refuses_nothing_that_is_true(town: Cluster) -> None:
    town.objects.of("pods").drop("town", "walker")
    town.objects.late = [("pods", "town", "walker", {})]
    token, _ = await town.tokens.issue(bound(pod=POD), [ISSUER], 600)
    assert await town.door.identify(token)


async def test_a_token_expires_even_while_it_is_remembered(town: Cluster) -> None:
    token, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    assert await town.door.identify(token)
    town.clock.now += 599
    assert await town.door.identify(token)
    town.clock.now += 60
    assert await town.door.identify(token) is None


async def test_a_token_is_for_the_audiences_that_it_names_and_no_others(town: Cluster) -> None:
    """TokenReview: what others ask about a token that was made for them, or for somebody else."""
    vault, _ = await town.tokens.issue(bound(), ["vault", "spare"], 600)
    own, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    assert await town.door.identify(vault) is None
    found = await town.door.review(vault, ["other", "vault"])
    assert found is not None
    assert found[0].name == "system:serviceaccount:town:robot"
    assert found[1] == ("vault",)
    assert await town.door.review(vault, ["other"]) is None
    assert await town.door.review(vault, [ISSUER]) is None
    assert await town.door.review(own, ["vault"]) is None
    assert (await town.door.review(own, [ISSUER]) or (None, ()))[1] == (ISSUER,)


Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: {**claims, "iss": "https://elsewhere.example.test"},
        lambda claims: {**claims, "exp": claims["iat"] - 60},
        lambda claims: {**claims, "nbf": claims["iat"] + 60},
        lambda claims: {name: value for name, value in claims.items() if name != "exp"},
        lambda claims: {**claims, "exp": "tomorrow"},
        lambda claims: {**claims, "aud": "vault"},
        lambda claims: {**claims, "aud": []},
        lambda claims: {**claims, "sub": "system:serviceaccount:town:mayor"},
        lambda claims: {**claims, "sub": "admin"},
        lambda claims: {**claims, PRIVATE: {**claims[PRIVATE], "namespace": "other"}},
        lambda claims: {**claims, PRIVATE: {**claims[PRIVATE], "pod": "walker"}},
        lambda claims: {name: value for name, value in claims.items() if name != PRIVATE},
    ],
)
async def test_what_a_token_says_must_fit_together(town: Cluster, change: Change) -> None:
    """Even signed by our own key: a token that was made for something else is none of ours."""
    token, _ = await town.tokens.issue(bound(pod=POD), [ISSUER], 600)
    claims = claims_of(token)
    assert await town.door.identify(await town.forged(claims))
    assert await town.door.identify(await town.forged(change(claims))) is None


async def test_without_our_signature_nothing_holds(town: Cluster) -> None:
    token, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    head, body, signature = token.split(".")
    claims, key_id = claims_of(token), (await town.keys.signer()).key_id
    stranger = RSAKey.generate_key(2048)
    forged = [
        await town.forged(claims, key=stranger),
        f"{head}.{encoded({**claims, 'sub': 'system:serviceaccount:kube-system:root'})}.{signature}",
        f"{head}.{body}.",
        f"{encoded({'alg': 'none', 'kid': key_id})}.{body}.",
        f"{encoded({'alg': 'none', 'kid': key_id})}.{body}.{signature}",
    ]
    for each in forged:
        assert await town.door.identify(each) is None
    assert await town.door.identify(token)


async def test_the_public_key_is_no_secret(town: Cluster) -> None:
    """HS256 with the published key as its secret: key confusion."""
    token, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    signer = await town.keys.signer()
    signed = f"{encoded({'alg': 'HS256', 'kid': signer.key_id})}.{token.split('.')[1]}"
    for secret in (signer.public.as_pem(private=False), signer.public.as_der(private=False)):
        mac = hmac.HMAC(secret, hashes.SHA256())
        mac.update(signed.encode())
        signature = base64.urlsafe_b64encode(mac.finalize()).decode().rstrip("=")
        assert await town.door.identify(f"{signed}.{signature}") is None


@pytest.mark.parametrize(
    "key_id", ["", "unknown", "../../../dev/null", "' OR 1=1 --", "\x00", "https://evil.test/jwks", "k" * 300]
)
async def test_a_key_id_is_a_name_and_nothing_else(town: Cluster, key_id: str) -> None:
    token, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    assert await town.door.identify(await town.forged(claims_of(token), {"kid": key_id})) is None


async def test_keys_rotate_and_old_tokens_hold_until_they_end(town: Cluster) -> None:
    before, _ = await town.tokens.issue(bound(), [ISSUER], int(LONGEST))
    old = await town.keys.signer()
    new = await town.keys.rotate()
    after, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    assert (await town.keys.signer()).key_id == new.key_id != old.key_id
    assert await town.door.identify(before)
    assert await town.door.identify(after)
    published = {key["kid"]: key for key in town.keys.jwks()["keys"]}
    assert set(published) == {old.key_id, new.key_id}
    assert all(set(key) == {"use", "kty", "kid", "alg", "n", "e"} for key in published.values())


async def test_a_key_signs_for_its_time_and_is_forgotten_when_nobody_needs_it(town: Cluster) -> None:
    first = await town.keys.signer()
    await town.keys._keep()
    assert (await town.keys.signer()).key_id == first.key_id
    town.clock.now += 10 * LONGEST + 1
    await town.keys._keep()
    second = await town.keys.signer()
    assert second.key_id != first.key_id
    assert {key["kid"] for key in town.keys.jwks()["keys"]} == {first.key_id, second.key_id}
    town.clock.now += LONGEST + 1
    await town.keys._keep()
    assert [key["kid"] for key in town.keys.jwks()["keys"]] == [second.key_id]
    assert [row.key_id for row in town.table.rows] == [second.key_id]


async def test_another_server_learns_of_a_new_key_when_it_meets_it(
    town: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = server(town.clock, town.table, town.objects)
    token, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    assert await other.door.identify(token)
    assert (await other.keys.signer()).key_id == (await town.keys.signer()).key_id
    await town.keys.rotate()
    fresh, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    monkeypatch.setattr(keys, "PAUSE", 0.0)
    assert await other.door.identify(fresh)
    await town.table.remove(keys.PURPOSE, (await town.keys.signer()).key_id)
    await other.keys.reload()
    assert len(other.keys.public) == 1


async def test_unknown_key_ids_do_not_make_us_ask_the_database_each_time(town: Cluster) -> None:
    token, _ = await town.tokens.issue(bound(), [ISSUER], 600)
    await town.door.identify(token)
    asked = 0
    read = town.table.keys

    async def counted(purpose: str) -> Any:
        nonlocal asked
        asked += 1
        return await read(purpose)

    town.table.keys = counted  # type: ignore[method-assign]  # a count around it
    for number in range(50):
        assert await town.door.identify(await town.forged(claims_of(token), {"kid": f"made-up-{number}"})) is None
    assert asked <= 1


async def test_private_keys_are_kept_encrypted(town: Cluster) -> None:
    private = (await town.keys.signer()).private.as_der(private=True)
    (row,) = town.table.rows
    assert private[30:60] not in row.sealed
    with pytest.raises(InvalidTag):
        await server(town.clock, town.table, town.objects, bytes(32)).keys.reload()


async def test_a_token_of_a_secret_lives_as_long_as_that_secret(town: Cluster) -> None:
    """One that carries the same id: a Secret of the same name that is made later does not bring the token back."""
    town.objects.of("secrets").put("town", "legacy", metadata={"labels": {LEGACY_ID: "1"}})
    token = await town.tokens.issue_legacy(replace(bound(secret=Ref("legacy", "")), legacy_id="1"))
    assert await town.door.identify(token)
    town.objects.of("secrets").put("town", "legacy", metadata={"labels": {LEGACY_ID: "2"}})
    assert await town.door.identify(token) is None
    town.objects.of("secrets").drop("town", "legacy")
    assert await town.door.identify(token) is None
