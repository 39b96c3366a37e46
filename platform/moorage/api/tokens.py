"""Continue tokens: opaque to clients; they name a commit's last revision and the last object that was given.

Source: API conventions, "Retrieving large results sets in chunks", and KEP-365.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import orjson

from moorage.api.errors import ApiError, bad_request

VERSION = 1
ANY_REVISION = -1
"""The revision of a token that continues an expired list inconsistently, at whatever is newest."""

EXPIRED_LIST = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


class Continue(NamedTuple):
    """Where a list goes on: after (namespace, name), as of ``revision``; ``left`` objects follow it (-1: unknown)."""

    revision: int
    namespace: str
    name: str
    left: int = -1

    def encode(self) -> str:
        """The token."""
        return base64.urlsafe_b64encode(orjson.dumps([VERSION, *self])).decode().rstrip("=")


def decode(token: str) -> Continue:
    """Read a token. Raises ApiError 400 for what we never gave out."""
    try:
        fields = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, revision, namespace, name, left = fields
    except (ValueError, TypeError, binascii.Error) as error:
        raise bad_request("continue key is not valid: it is not a token that this server gave out") from error
    integers = all(type(value) is int for value in (version, revision, left))
    if not integers or not isinstance(namespace, str) or not isinstance(name, str) or version != VERSION:
        raise bad_request("continue key is not valid: it is of another version or incomplete")
    return Continue(revision, namespace, name, left)


class ExpiredList(ApiError):
    """410 for a continue token whose revision is gone; carries one that goes on inconsistently."""

    def __init__(self, token: Continue) -> None:
        super().__init__(410, EXPIRED_LIST)
        self._fresh = token._replace(revision=ANY_REVISION, left=-1).encode()

    def status(self) -> dict[str, object]:
        """The Status, with the fresh token in its list metadata."""
        return {**super().status(), "metadata": {"continue": self._fresh}}
