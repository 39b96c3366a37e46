"""Tokens that somebody made up, changed, or kept too long: each is refused, and none by an exception."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt as jose
from joserfc.jwk import ECKey, OctKey, RSAKey

from moorage_tenants.authentication import jwt
from moorage_tenants.authentication.chain import Authentication
from moorage_tenants.authentication.oidc import fetch, keys
from moorage_tenants.authentication.oidc.config import IssuerConfig, Mapped
from moorage_tenants.authentication.oidc.issuers import Issuers

ISSUER, CLIENT = "https://login.example.test", "moorage"
NOW = 1_800_000_000.0
NAMES = st.sampled_from(["exp", "nbf", "iat", "aud", "iss"])


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Nobody:
    """No stored tokens."""

    async def identify(self, sha256: str) -> None:
        return None


class Provider:
    """A provider in memory: what is fetched from it is counted."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048)
        self.published: list[Mapping[str, Any]] = [self.public("one", self.key)]
        self.fetched: list[str] = []
        self.now = NOW
        self.metadata: dict[str, Any] = {"issuer": ISSUER, "jwks_uri": ISSUER + "/jwks"}
        self.away = False

    @staticmethod
    def public(kid: str, key: RSAKey | ECKey, **more: Any) -> dict[str, Any]:
        return {**key.as_dict(private=False), "kid": kid, "use": "sig", **more}

    async def json(self, url: str) -> dict[str, Any]:
        self.fetched.append(url)
        if self.away:
            raise fetch.FetchError("away")
        return self.metadata if url.endswith("configuration") else {"keys": self.published}

    def claims(self, **more: Any) -> dict[str, Any]:
        base = {
            "iss": ISSUER,
            "aud": CLIENT,
            "sub": "1",
            "email": "a@example.test",
            "groups": ["devs", "system:masters"],
        }
        claims = {**base, "iat": self.now - 5, "exp": self.now + 600, "tier": "gold", **more}
        return {key: value for key, value in claims.items() if value is not None}

    def token(self, header: Mapping[str, Any] | None = None, key: RSAKey | None = None, **claims: Any) -> str:
        return jose.encode({"alg": "RS256", "kid": "one", **(header or {})}, self.claims(**claims), key or self.key)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    made = Provider()
    monkeypatch.setattr(fetch.Fetcher, "json", lambda _self, url: made.json(url))
    return made


def config(**more: Any) -> IssuerConfig:
    base: dict[str, Any] = {
        "url": ISSUER,
        "audiences": (CLIENT,),
        "username": Mapped("email", "corp:"),
        "groups": Mapped("groups", ""),
        "required": (("tier", "gold"),),
    }
    return IssuerConfig(**{**base, **more})


@pytest.fixture
async def door(provider: Provider) -> Authentication:
    issuers = Issuers([config()], clock=lambda: provider.now)
    return Authentication(stored=Nobody(), signed=[issuers], clock=lambda: provider.now)


async def test_a_good_token_names_user_and_groups(door: Authentication, provider: Provider) -> None:
    identity = await door.identify(provider.token())
    assert identity is not None
    assert identity.name == "corp:a@example.test"
    # The platform's own names are nobody's to hand out.
    assert identity.groups == {"devs", "system:authenticated"}


async def test_a_verified_token_is_remembered_until_it_ends(door: Authentication, provider: Provider) -> None:
    token = provider.token()
    assert await door.identify(token)
    provider.away = True
    assert await door.identify(token)
    assert len(provider.fetched) == 2
    provider.now += 600 + 31
    assert await door.identify(token) is None


def symmetric(provider: Provider, form: Callable[[RSAKey], bytes]) -> str:
    """Signed by HMAC with the provider's public key as the secret (RFC 8725, 2.1)."""
    signed = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(provider.claims())}"
    mac = hmac.HMAC(form(provider.key), hashes.SHA256())
    mac.update(signed.encode())
    return f"{signed}.{base64.urlsafe_b64encode(mac.finalize()).decode().rstrip('=')}"


def pem(key: RSAKey) -> bytes:
    return key.as_pem(private=False)


def der(key: RSAKey) -> bytes:
    public = serialization.load_pem_public_key(pem(key))
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("form", [pem, der, lambda key: key.as_dict(private=False)["n"].encode()])
async def test_a_public_key_is_no_secret(
    door: Authentication, provider: Provider, form: Callable[[RSAKey], bytes]
) -> None:
    assert await door.identify(symmetric(provider, form)) is None


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", None, 1, ["RS256"]])
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_no_algorithm_but_the_allowed_ones(
    door: Authentication, provider: Provider, algorithm: Any, signature: str
) -> None:
    forged = f"{part({'alg': algorithm, 'kid': 'one'})}.{part(provider.claims())}.{signature}"
    assert await door.identify(forged) is None


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.test/keys"},
        {"x5u": "https://evil.test/cert"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"]},
        {"kid": "../../../../dev/null"},
        {"kid": "one' OR 1=1 --"},
        {"kid": "x" * 10_000},
        {"typ": "secevent+jwt"},
        {"typ": "logout+jwt"},
    ],
)
async def test_a_header_chooses_among_our_keys_and_nothing_else(
    door: Authentication, provider: Provider, header: dict[str, Any]
) -> None:
    mine = RSAKey.generate_key(2048)
    body = provider.claims()
    signed = f"{part({'alg': 'RS256', 'kid': 'one', **header})}.{part(body)}"
    for key in (mine, provider.key):
        raw = _signature(key, signed)
        token = f"{signed}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
        assert await door.identify(token) is None
    assert not [url for url in provider.fetched if "evil" in url]


def _signature(key: RSAKey, signed: str) -> bytes:
    """As RS256 has it (RFC 7518, section 3.3)."""
    assert key.private_key is not None
    return key.private_key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())


async def test_a_key_in_the_header_is_not_believed(door: Authentication, provider: Provider) -> None:
    mine = RSAKey.generate_key(2048)
    signed = f"{part({'alg': 'RS256', 'jwk': mine.as_dict(private=False)})}.{part(provider.claims())}"
    raw = _signature(mine, signed)
    assert await door.identify(f"{signed}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}") is None


async def test_another_key_under_a_known_name_is_refused(door: Authentication, provider: Provider) -> None:
    assert await door.identify(provider.token(key=RSAKey.generate_key(2048))) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": None},
        {"aud": {"moorage": 1}},
        {"azp": "another"},
        {"iss": ISSUER + "/"},
        {"iss": "https://evil.test"},
        {"exp": NOW - 31},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": 1e400},
        {"nbf": NOW + 31},
        {"iat": NOW + 31},
        {"email": None},
        {"email": ""},
        {"email": ["a@example.test"]},
        {"email": "a@example.test\nadmin"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"tier": "silver"},
        {"tier": None},
    ],
)
async def test_a_token_for_others_or_for_another_time_is_refused(
    door: Authentication, provider: Provider, claims: dict[str, Any]
) -> None:
    assert await door.identify(provider.token(**claims)) is None


async def test_a_prefixless_issuer_cannot_name_the_platforms_users(provider: Provider) -> None:
    issuers = Issuers([config(username=Mapped("email", ""))], clock=lambda: provider.now)
    door = Authentication(stored=Nobody(), signed=[issuers], clock=lambda: provider.now)
    assert await door.identify(provider.token(email="a@b.test"))
    assert await door.identify(provider.token(email="system:admin")) is None


async def test_a_changed_token_is_refused_wherever_it_was_changed(door: Authentication, provider: Provider) -> None:
    token = provider.token()
    head, body, signature = token.split(".")
    changed = part({**provider.claims(), "email": "root@example.test"})
    assert await door.identify(f"{head}.{changed}.{signature}") is None
    assert await door.identify(f"{head}.{body}.{signature[:-4]}AAAA") is None
    assert await door.identify(f"{head}.{body}.") is None
    assert await door.identify(token)


async def test_two_issuers_do_not_vouch_for_each_other(provider: Provider) -> None:
    """Both publish keys under the same id; a token is checked with those of the issuer that it names."""
    other = config(url="https://other.example.test", username=Mapped("email", "other:"))
    issuers = Issuers([config(), other], clock=lambda: provider.now)
    door = Authentication(stored=Nobody(), signed=[issuers], clock=lambda: provider.now)
    stolen = RSAKey.generate_key(2048)
    forged = jose.encode({"alg": "RS256", "kid": "one"}, provider.claims(iss=other.url), stolen)
    assert await door.identify(forged) is None


async def test_metadata_of_another_issuer_is_not_used(door: Authentication, provider: Provider) -> None:
    provider.metadata["issuer"] = "https://evil.test"
    assert await door.identify(provider.token()) is None


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "one"},
        {"kty": "RSA", "n": "x" * 171, "e": "AQAB", "kid": "one"},
        {"kty": "RSA", "kid": "one"},
        {"kty": "RSA", "n": 5, "e": "AQAB", "kid": "one"},
        "text",
    ],
)
async def test_weak_and_broken_keys_are_passed_over(door: Authentication, provider: Provider, key: Any) -> None:
    provider.published = [key, provider.public("two", provider.key)]
    assert await door.identify(provider.token()) is None
    assert await door.identify(provider.token({"kid": "two"}))


async def test_a_key_signs_with_its_own_algorithm_only(door: Authentication, provider: Provider) -> None:
    provider.published = [provider.public("one", provider.key, alg="RS512")]
    assert await door.identify(provider.token()) is None


async def test_keys_for_encryption_do_not_sign(door: Authentication, provider: Provider) -> None:
    provider.published = [provider.public("one", provider.key, use="enc")]
    assert await door.identify(provider.token()) is None


async def test_elliptic_curves_are_taken(door: Authentication, provider: Provider) -> None:
    key = ECKey.generate_key("P-256")
    provider.published = [provider.public("one", key)]
    assert await door.identify(jose.encode({"alg": "ES256", "kid": "one"}, provider.claims(), key))


async def test_keys_rotate(door: Authentication, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await door.identify(provider.token())
    provider.key = RSAKey.generate_key(2048)
    provider.published = [provider.public("two", provider.key)]
    monkeypatch.setattr(keys, "PAUSE", 0.0)
    assert await door.identify(provider.token({"kid": "two"}))


async def test_made_up_key_ids_do_not_make_us_hammer_the_provider(door: Authentication, provider: Provider) -> None:
    for number in range(50):
        assert await door.identify(provider.token({"kid": f"made-up-{number}"})) is None
    assert len(provider.fetched) == 2


async def test_an_outage_of_the_provider_is_a_refusal_and_no_crash(door: Authentication, provider: Provider) -> None:
    provider.away = True
    assert await door.identify(provider.token()) is None


async def test_numbers_that_are_no_json_are_refused(door: Authentication, provider: Provider) -> None:
    signed = f"{part({'alg': 'RS256', 'kid': 'one'})}."
    body = json.dumps(provider.claims()).replace("600", "NaN").encode()
    signed += base64.urlsafe_b64encode(body[:-1] + b', "x": NaN}').decode().rstrip("=")
    raw = _signature(provider.key, signed)
    assert await door.identify(f"{signed}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}") is None


async def test_a_secret_of_hmac_is_never_taken_from_a_published_set(door: Authentication, provider: Provider) -> None:
    secret = OctKey.import_key("0123456789abcdef0123456789abcdef")
    provider.published = [{**secret.as_dict(), "kid": "one"}]
    token = jose.encode({"alg": "HS256", "kid": "one"}, provider.claims(), secret)
    assert await door.identify(token) is None


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=50))
def test_nothing_that_looks_like_a_token_breaks_the_reader(head: str, body: str, signature: str) -> None:
    for text in (f"eyJ{head}.{body}.{signature}", f"eyJ{part(head)}.{part(body)}.{signature}"):
        if jwt.looks_like(text):
            jwt.read(text)


@given(st.dictionaries(NAMES, st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists)))
def test_no_claims_break_the_clock(claims: Mapping[str, Any]) -> None:
    assert jwt.current(claims, NOW, 30.0) in (True, False)
    assert isinstance(jwt.audiences_of(claims), Sequence)
