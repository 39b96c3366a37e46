"""What is known about an issuer before anything is fetched from it. Source: KEP-3331, structured authentication."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

SKEW = 30.0
"""Seconds by which the clocks of an issuer and of this host may differ."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A claim and the text that is put before its value."""

    claim: str
    prefix: str


DEFAULT_SCOPES = ("openid", "email", "offline_access")
"""What a login asks for: who it is, and leave to refresh that silently."""


@dataclass(frozen=True, slots=True)
class Login:
    """What ``moorage login`` needs of an issuer. ``name`` is how users choose it among several."""

    name: str
    client_id: str
    scopes: tuple[str, ...] = DEFAULT_SCOPES


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerConfig:
    """One issuer. ``ca_pem`` "" stands for the system's certificate authorities; ``discovery_url`` "" for the standard place."""

    url: str
    audiences: tuple[str, ...]
    username: Mapped
    groups: Mapped | None = None
    uid_claim: str = ""
    required: tuple[tuple[str, str], ...] = ()
    ca_pem: str = ""
    discovery_url: str = ""
    login: Login | None = None
    algorithms: tuple[str, ...] = (
        "RS256",
        "RS384",
        "RS512",
        "ES256",
        "ES384",
        "ES512",
        "PS256",
        "PS384",
        "PS512",
        "EdDSA",
    )

    @property
    def metadata_url(self) -> str:
        """Where its metadata is (OpenID Connect Discovery 1.0, 4)."""
        return self.discovery_url or self.url.rstrip("/") + "/.well-known/openid-configuration"


def is_loopback(url: str) -> bool:
    """Whether a URL names this host."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_problem(url: str) -> str | None:
    """What is wrong with a provider's URL, or None. Plain HTTP is for tests on the same host only."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return str(error)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        return "must be a URL with https"
    if parts.scheme == "http" and not is_loopback(url):
        return "must begin with https:// (http is accepted for the loopback address only)"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password"
    if parts.query or parts.fragment:
        return "must not contain a query or a fragment"
    return None
