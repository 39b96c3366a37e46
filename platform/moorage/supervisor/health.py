"""Is the API server well? Asked over its own TLS, like any client would."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT = 15.0


class ApiProbe:
    """Asks one server. ``url`` is ``https://HOST:PORT``; the certificate is verified against ``ca``."""

    def __init__(self, url: str, ca: Path, token: str = "") -> None:
        self._url = url
        self._token = token
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )

    def get(self, path: str, timeout: float = TIMEOUT) -> Any:
        """The decoded JSON answer, or the text where it is none. Raises OSError where there is no good answer."""
        request = urllib.request.Request(self._url + path)  # noqa: S310 - the scheme is always https
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        with self._opener.open(request, timeout=timeout) as answer:
            body = answer.read()
        try:
            return json.loads(body)
        except ValueError:
            return body.decode("utf-8", "replace")

    async def well(self) -> bool:
        """Whether ``/livez`` answers. An error answer is an answer: the process is not stuck."""
        try:
            await asyncio.to_thread(self.get, "/livez")
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True
