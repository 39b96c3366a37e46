"""A client that sends what others would not: any header, any number of times, bodies that are no JSON, bytes on the socket."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from tests.support.rest import MERGE_PATCH, Answer, Document

SECONDS = 60.0
Headers = dict[str, str] | list[tuple[str, str]]


@dataclass
class Caller:
    """Requests to ``url`` with a bearer token ("": none)."""

    url: str
    ca: Path
    token: str = field(repr=False)
    _pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(ca_certs=str(self.ca), maxsize=32, retries=False)

    def with_token(self, token: str) -> Caller:
        """The same server, asked by somebody else."""
        return Caller(self.url, self.ca, token)

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        content: str = "application/json",
        headers: Headers | None = None,
        **query: Any,
    ) -> Answer:
        """One request. ``body``: JSON unless it is bytes or text; ``query`` is encoded, ``path`` is sent as it is."""
        sent = urllib3.HTTPHeaderDict({"Content-Type": content, "Accept": "*/*"})
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        for name, value in headers.items() if isinstance(headers, dict) else headers or ():
            if name in ("Accept", "Authorization"):
                sent[name] = value
            else:
                sent.add(name, value)
        data = body if body is None or isinstance(body, bytes | str) else json.dumps(body)
        address = f"{self.url}{path}{'?' + urlencode(query) if query else ''}"
        got = self._pool.request(method, address, body=data, headers=sent, timeout=SECONDS, redirect=False)
        text = got.data.decode(errors="replace")
        return Answer(
            got.status,
            {name.lower(): ", ".join(got.headers.getlist(name)) for name in got.headers},
            _document(text),
            text,
        )

    def get(self, path: str, **query: Any) -> Document:
        """What is there; fails the test for a refusal."""
        return self.send("GET", path, **query).ok()

    def create(self, path: str, body: Document, **query: Any) -> Document:
        """POST; fails the test for a refusal."""
        return self.send("POST", path, body, **query).ok()

    def merge(self, path: str, body: Document) -> Answer:
        """A merge patch."""
        return self.send("PATCH", path, body, MERGE_PATCH)

    def raw(self, data: bytes, seconds: float = SECONDS) -> bytes:
        """Send ``data`` as it is over a connection of its own; all that comes back until the server ends it or is silent."""
        with self.connect(seconds) as connection:
            connection.sendall(data)
            got = b""
            try:
                while part := connection.recv(65536):
                    got += part
            except TimeoutError:
                return got
            except OSError:
                return got
            return got

    def connect(self, seconds: float = SECONDS) -> ssl.SSLSocket:
        """A connection over TLS; the caller closes it."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        bare = socket.create_connection((parts.hostname, parts.port or 443), timeout=seconds)
        return ssl.create_default_context(cafile=str(self.ca)).wrap_socket(bare, server_hostname=parts.hostname)


def _document(text: str) -> Document:
    if not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def base64_of(text: str) -> str:
    """Standard base64, as Secrets have it."""
    return base64.b64encode(text.encode()).decode()


def refused(answer: Answer, *codes: int) -> Answer:
    """The answer, which is one of ``codes`` (403 where none is named)."""
    assert answer.code in (codes or (403,)), f"{answer.code}: {answer.text[:2000]}"
    return answer
