"""What of a request's and an answer's headers goes through the proxy.

Source: ``httputil.ReverseProxy`` (hop-by-hop headers, RFC 9110 section 7.6.1) and apimachinery's ``proxyutil.Transport``. The
API's own credentials stay here, cookies in both directions too: every pod is served under the API's one origin.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from urllib.parse import quote, urlsplit, urlunsplit

from moorage.api.asgi import Header

_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_SECRET = frozenset((b"authorization", b"cookie"))
_OURS = frozenset((b"accept-encoding", b"content-length", b"expect", b"x-forwarded-for", b"x-forwarded-uri"))
"""What is written anew. A body that is not packed can have its links rewritten."""
_NOT_BACK = frozenset(
    (
        b"access-control-allow-credentials",
        b"access-control-allow-headers",
        b"access-control-allow-methods",
        b"access-control-allow-origin",
        b"audit-id",
        b"set-cookie",
    )
)
_IDENTITY = (b"impersonate-", b"x-remote-", b"moorage-")
"""Who asks, as servers of the platform tell each other."""


def escaped(path: str) -> str:
    """A path as it is written into a request (Go's ``URL.EscapedPath``)."""
    return quote(path, safe="/:@&=+$,;-_.~")


def forwarded_uri(prefix: str, path: str) -> str:
    """``X-Forwarded-Uri``: the path that the client asked for, cleaned."""
    joined = posixpath.normpath(f"{prefix}/{path}").replace("//", "/")
    return escaped(joined + "/" if path.endswith("/") and joined != "/" else joined)


def upward(headers: Iterable[Header], uri: str, client: str) -> list[Header]:
    """The headers for the pod. ``client`` is the address that asks. Never a credential of the API's."""
    given = list(headers)
    dropped = _HOP | _SECRET | _OURS | _named(given)
    kept = [
        (name, value) for name, value in given if name.lower() not in dropped and not name.lower().startswith(_IDENTITY)
    ]
    before = [value for name, value in given if name.lower() == b"x-forwarded-for"]
    chain = b", ".join([*before, *([client.encode("latin-1", "replace")] if client else [])])
    if chain:
        kept.append((b"x-forwarded-for", chain))
    kept += [(b"x-forwarded-uri", uri.encode()), (b"accept-encoding", b"identity")]
    return kept


def downward(headers: Iterable[Header]) -> list[Header]:
    """The headers for the client."""
    given = list(headers)
    dropped = _HOP | _NOT_BACK | _named(given)
    return [(name.lower(), value) for name, value in given if name.lower() not in dropped]


def rewritten(link: str, prefix: str, hosts: Iterable[str]) -> str:
    """A link of the pod's as the client must write it: below ``prefix``. ``hosts`` are the names that mean the pod."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return link
    if (parts.netloc and parts.netloc not in hosts) or not parts.path.startswith("/"):
        return link
    if parts.path == prefix or parts.path.startswith(prefix + "/"):
        return urlunsplit(("", "", *parts[2:]))
    path = posixpath.normpath(f"{prefix}/{parts.path}").replace("//", "/")
    if parts.path.endswith("/"):
        path += "/"
    return urlunsplit(("", "", path, parts.query, parts.fragment))


def _named(headers: Iterable[Header]) -> frozenset[bytes]:
    """The headers that ``Connection`` says are for the next hop only."""
    values = (value for name, value in headers if name.lower() == b"connection")
    return frozenset(part.strip().lower() for value in values for part in value.split(b","))
