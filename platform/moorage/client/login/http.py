"""One HTTPS request: verified, bounded in size and time, following nothing."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from moorage.client.credentials import tls_context

SECONDS = 20.0
LARGEST = 1024 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class LoginError(Exception):
    """Logging in failed; the text is for the user, and holds no token. ``reason`` is what the network said."""

    def __init__(self, text: str, reason: object = None) -> None:
        super().__init__(text)
        self.reason = reason


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        """Follow nothing: credentials go where they were meant to go, or nowhere."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer, refusals included."""

    code: int
    body: dict[str, Any]


class Http:
    """Requests to one party. ``ca_pem`` "" stands for the system's certificate authorities."""

    def __init__(self, ca_pem: str = "") -> None:
        try:
            context: ssl.SSLContext = tls_context(ca_pem=ca_pem)
        except (OSError, ValueError) as error:
            raise LoginError(f"the CA certificate cannot be used: {error}") from None
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirects()
        )

    def get(self, url: str) -> Answer:
        """GET a JSON object. Raises LoginError where nobody answers."""
        return self._send(urllib.request.Request(_checked(url)))  # noqa: S310 - the URL was checked

    def post(self, url: str, form: Mapping[str, str]) -> Answer:
        """POST a form. Raises LoginError where nobody answers."""
        data = urllib.parse.urlencode(form).encode("ascii")
        return self._send(urllib.request.Request(_checked(url), data))  # noqa: S310 - the URL was checked

    def _send(self, request: urllib.request.Request) -> Answer:
        request.add_header("Accept", "application/json")
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return Answer(answer.status, _decoded(answer.read(LARGEST)))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _decoded(error.read(LARGEST)))
        except urllib.error.URLError as error:
            raise LoginError(
                f"{request.full_url.partition('?')[0]} cannot be reached: {error.reason}", error.reason
            ) from None
        except OSError as error:
            raise LoginError(f"{request.full_url.partition('?')[0]} cannot be reached: {error}") from None


def _checked(url: str) -> str:
    """``url`` where it may be used. Raises LoginError for what is not https."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return url
    raise LoginError(f"{url!r} must begin with https://")


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
