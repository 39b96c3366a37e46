"""What a server says about logging in: ``GET /.well-known/moorage``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moorage.client.login.http import Http, LoginError

PATH = "/.well-known/moorage"


@dataclass(frozen=True, slots=True)
class Method:
    """An identity provider that the server accepts. ``ca_pem`` "" stands for the system's certificate authorities."""

    name: str
    issuer: str
    client_id: str
    scopes: tuple[str, ...]
    ca_pem: str = ""


def fetch(server: str, ca_pem: str) -> Sequence[Method]:
    """The methods of ``server``. Raises LoginError."""
    answer = Http(ca_pem).get(server.rstrip("/") + PATH)
    if answer.code != 200 or not isinstance(answer.body.get("issuers"), list):
        raise LoginError(f"{server} does not say how to log in (it answered {answer.code}); is it a Moorage server?")
    return [_method(server, each) for each in answer.body["issuers"]]


def choose(server: str, methods: Sequence[Method], name: str) -> Method:
    """The one named, or the only one. Raises LoginError, listing what there is."""
    listed = ", ".join(f"{method.name} ({method.issuer})" for method in methods)
    if not methods:
        raise LoginError(
            f"{server} offers no login through an identity provider; its administrator configures one with "
            "--authentication-config, or makes you a token with: moorage tokens create"
        )
    if not name and len(methods) == 1:
        return methods[0]
    if not name:
        raise LoginError(f"choose one of the identity providers with --issuer: {listed}")
    found = [method for method in methods if name in (method.name, method.issuer)]
    if not found:
        raise LoginError(f'there is no identity provider "{name}" at {server}; there is: {listed}')
    return found[0]


def _method(server: str, value: Any) -> Method:
    try:
        scopes = tuple(str(scope) for scope in value["scopes"])
        ca_pem = str(value.get("certificateAuthority") or "")
        return Method(str(value["name"]), str(value["issuer"]), str(value["clientID"]), scopes, ca_pem)
    except (KeyError, TypeError):
        raise LoginError(f"{server} says in a way that this version does not know how to log in") from None
