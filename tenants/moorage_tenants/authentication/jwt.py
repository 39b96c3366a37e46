"""JSON Web Tokens: what may be looked at before the signature is checked, and the check. Source: RFC 7515, 7519, 8725.

The header picks nothing but a key among those of the issuer, and an algorithm among those that are allowed for that key:
``jku``, ``jwk``, ``x5u``, ``x5c`` and ``crit`` are reasons to refuse, not to follow. Symmetric algorithms and ``none`` are never
allowed, so that no public key can be used as a secret.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

log = logging.getLogger(__name__)

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""What issuers may sign with."""
FORBIDDEN = ("jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc")
TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
LONGEST_HEADER = 2048
LONGEST_KEY_ID = 256
_LARGEST_INSTANT = 2**53


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token in its form, believed in nothing. ``issuer`` decides who is asked, ``key_id`` which of its keys."""

    text: str
    algorithm: str
    key_id: str
    issuer: str


def looks_like(token: str) -> bool:
    """Whether a token has the form of a JWT: opaque ones never begin so (``{"`` in base64)."""
    return token.startswith("eyJ") and token.count(".") == 2


def read(token: str) -> Unverified | None:
    """Take a token apart; None for what is no JWT, or one whose header asks for what it must not."""
    head, payload, signature = token.split(".", 2)
    if not signature or len(head) > LONGEST_HEADER:
        return None
    header, claims = _object(head), _object(payload)
    if header is None or claims is None or any(name in header for name in FORBIDDEN):
        return None
    algorithm, key_id, issuer = header.get("alg"), header.get("kid", ""), claims.get("iss")
    kind = header.get("typ", "JWT")
    if not all(isinstance(value, str) for value in (algorithm, key_id, issuer, kind)):
        return None
    if algorithm not in ALGORITHMS or len(key_id) > LONGEST_KEY_ID or kind.lower() not in TYPES or not issuer:
        return None
    return Unverified(token, algorithm, key_id, issuer)


def verified_claims(token: Unverified, key: Key) -> Mapping[str, Any] | None:
    """The claims, once the signature holds under ``key``; None where it does not."""
    try:
        # Providers put fields of their own into headers: what must not be there was looked for in ``read``.
        registry = jws.JWSRegistry(algorithms=[token.algorithm], strict_check_header=False)
        verified = jws.deserialize_compact(token.text, key, registry=registry)
        claims = json.loads(verified.payload, parse_constant=_refuse_constant)
    except (JoseError, ValueError, TypeError) as error:
        log.debug("a token of %s was refused: %s", token.issuer, type(error).__name__)
        return None
    return claims if isinstance(claims, dict) else None


def current(claims: Mapping[str, Any], now: float, skew: float) -> bool:
    """Whether ``exp``, ``nbf`` and ``iat`` let the token be used now; ``exp`` must be there (RFC 7519, 4.1)."""
    expires, begins, issued = claims.get("exp"), claims.get("nbf", 0), claims.get("iat", 0)
    if not all(_instant(value) for value in (expires, begins, issued)):
        return False
    assert isinstance(expires, int | float)
    return bool(now < expires + skew and begins <= now + skew and issued <= now + skew)


def audiences_of(claims: Mapping[str, Any]) -> Sequence[str]:
    """``aud`` as a list: a single one may be a plain string."""
    value = claims.get("aud")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        return ()
    return values


def _instant(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LARGEST_INSTANT


def _object(part: str) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
