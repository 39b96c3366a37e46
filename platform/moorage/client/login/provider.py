"""An OpenID provider as a client meets it: metadata, authorisation, tokens. Source: OpenID Connect Core 1.0, RFC 7636, 7009."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moorage.client.login.http import Http, LoginError
from moorage.client.login.methods import Method

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login yields. ``expires_at`` is seconds since the epoch."""

    id_token: str
    refresh_token: str
    expires_at: float
    claims: Mapping[str, Any] = field(default_factory=dict)


class Refused(LoginError):
    """The provider said no; ``code`` is its error code (``invalid_grant``, ``authorization_pending``...)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Challenge:
    """What ties an authorisation to the one who asked for it: PKCE verifier, state, nonce."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def code_challenge(self) -> str:
        """S256 of the verifier (RFC 7636, 4.2)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


class Provider:
    """One provider, for one client id. Raises LoginError where it cannot be used."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self._http = Http(method.ca_pem)
        url = method.issuer.rstrip("/") + "/.well-known/openid-configuration"
        answer = self._http.get(url)
        if answer.code != 200 or answer.body.get("issuer") != method.issuer:
            raise LoginError(f"{url} is not the metadata of {method.issuer}")
        self._metadata = answer.body

    @property
    def has_device_flow(self) -> bool:
        """Whether a device code can be had."""
        return bool(self._metadata.get("device_authorization_endpoint"))

    def authorization_url(self, challenge: Challenge, redirect_uri: str) -> str:
        """Where the browser is sent."""
        query = {
            "response_type": "code",
            "client_id": self.method.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.method.scopes),
            "state": challenge.state,
            "nonce": challenge.nonce,
            "code_challenge": challenge.code_challenge,
            "code_challenge_method": "S256",
        }
        if "offline_access" in self.method.scopes:
            query["prompt"] = "consent"  # without it, a refresh token must not be given (Core 1.0, 11)
        return f"{self._endpoint('authorization_endpoint')}?{urllib.parse.urlencode(query)}"

    def exchange(self, code: str, challenge: Challenge, redirect_uri: str) -> Tokens:
        """Tokens for an authorisation code. Raises Refused."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return self._tokens({**form, "code_verifier": challenge.verifier}, nonce=challenge.nonce)

    def device_code(self) -> dict[str, Any]:
        """A code for the user to type in elsewhere (RFC 8628, 3.2)."""
        form = {"client_id": self.method.client_id, "scope": " ".join(self.method.scopes)}
        if "offline_access" in self.method.scopes:
            form["prompt"] = "consent"
        answer = self._http.post(self._endpoint("device_authorization_endpoint"), form)
        if answer.code != 200 or not all(
            name in answer.body for name in ("device_code", "user_code", "verification_uri")
        ):
            raise _refused("the provider gives no device code", answer.body)
        return answer.body

    def poll_device(self, code: str) -> Tokens:
        """Tokens for a device code. Raises Refused, with ``authorization_pending`` or ``slow_down`` while it is too early."""
        return self._tokens({"grant_type": DEVICE_GRANT, "device_code": code})

    def refresh(self, tokens: Tokens) -> Tokens:
        """Fresh tokens. Raises Refused where the login is over."""
        fresh = self._tokens({"grant_type": "refresh_token", "refresh_token": tokens.refresh_token})
        kept = fresh.refresh_token or tokens.refresh_token
        return Tokens(fresh.id_token, kept, fresh.expires_at, fresh.claims)

    def revoke(self, refresh_token: str) -> None:
        """End the login at the provider, where it offers that (RFC 7009)."""
        if refresh_token and self._metadata.get("revocation_endpoint"):
            form = {"token": refresh_token, "token_type_hint": "refresh_token", "client_id": self.method.client_id}
            self._http.post(self._endpoint("revocation_endpoint"), form)

    def _tokens(self, form: Mapping[str, str], nonce: str = "") -> Tokens:
        answer = self._http.post(self._endpoint("token_endpoint"), {**form, "client_id": self.method.client_id})
        if answer.code != 200:
            raise _refused("the provider gives no token", answer.body)
        id_token = answer.body.get("id_token")
        if not isinstance(id_token, str):
            raise LoginError('the provider gives no ID token; does the login\'s scope contain "openid"?')
        claims = claims_of(id_token)
        self._check(claims, nonce)
        return Tokens(id_token, str(answer.body.get("refresh_token") or ""), float(claims["exp"]), claims)

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        """Whether the token is for us and for this login. The server verifies its signature; it came to us over TLS from the
        provider itself (Core 1.0, 3.1.3.7).
        """
        audience = claims.get("aud")
        meant = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self.method.issuer or self.method.client_id not in meant:
            raise LoginError("the provider answered with a token of another issuer, or for another client")
        if nonce and claims.get("nonce") != nonce:
            raise LoginError("the provider answered with the token of another login")
        if not isinstance(claims.get("exp"), int | float):
            raise LoginError("the provider answered with a token that never expires")

    def _endpoint(self, name: str) -> str:
        url = self._metadata.get(name)
        if not isinstance(url, str):
            raise LoginError(f"{self.method.issuer} has no {name}")
        return url


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified. Raises LoginError for what is none."""
    try:
        payload = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        raise LoginError("the provider answered with something that is no JWT") from None
    if not isinstance(value, dict):
        raise LoginError("the provider answered with something that is no JWT")
    return value


def _refused(what: str, body: Mapping[str, Any]) -> Refused:
    reason = str(body.get("error") or "")
    text = ": ".join(filter(None, (what, reason, str(body.get("error_description") or ""))))
    return Refused(reason, text[:500])
