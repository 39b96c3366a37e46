"""The name in a path to a proxy: ``[SCHEME:]NAME[:PORT]``. Source: ``SplitSchemeNamePort`` (apimachinery/pkg/util/net)."""

from __future__ import annotations

from typing import NamedTuple

from moorage.api.errors import bad_request

_SCHEMES = ("", "http", "https")


class Target(NamedTuple):
    """``scheme`` is "http" or "https"; ``port`` a number, a service's port name, or "" where none was given."""

    scheme: str
    name: str
    port: str


def parse(what: str, text: str) -> Target:
    """``text`` as the name of a ``what`` ("pod", "service"). Raises ApiError 400."""
    parts = text.split(":")
    if len(parts) == 3:
        scheme, name, port = parts
    else:
        scheme, name, port = "", parts[0], "".join(parts[1:])
    if len(parts) > 3 or not name or scheme not in _SCHEMES:
        raise bad_request(f'invalid {what} request "{text}"')
    return Target(scheme or "http", name, port)


def number(text: str) -> int | None:
    """A port's number, None where ``text`` is none."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not 0 < int(text) < 2**16:
        return None
    return int(text)
