"""Logging in with the browser: authorisation code with PKCE, answered on a loopback port. Source: RFC 8252, 7.3; RFC 9207."""

from __future__ import annotations

import time
import urllib.parse
import webbrowser
from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from moorage.client.login.http import LoginError
from moorage.client.login.provider import Challenge, Provider, Tokens

PATIENCE = 300.0
"""Seconds to wait for the user."""


def log_in(provider: Provider, show: Callable[[str], None], *, open_browser: bool = True) -> Tokens:
    """Send the user to the provider and wait for the answer. ``show`` gets the URL. Raises LoginError."""
    challenge = Challenge()
    with _Listener() as listener:
        redirect_uri = f"http://127.0.0.1:{listener.server_port}/callback"
        url = provider.authorization_url(challenge, redirect_uri)
        show(url)
        if open_browser:
            webbrowser.open(url)
        code = _code(listener.wait(), provider.method.issuer, challenge.state)
        return provider.exchange(code, challenge, redirect_uri)


def _code(answer: dict[str, str], issuer: str, state: str) -> str:
    """The code in an answer that is meant for this login. Raises LoginError."""
    if answer.get("state") != state or answer.get("iss", issuer) != issuer:
        raise LoginError("the answer belongs to another login; try again")
    if "error" in answer:
        raise LoginError(f"the provider refused: {answer['error']} {answer.get('error_description', '')}".strip()[:500])
    if not answer.get("code"):
        raise LoginError("the provider's answer has no code")
    return answer["code"]


class _Listener(HTTPServer):
    """Listens on a free loopback port for one answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Callback)
        self.answer: dict[str, str] | None = None
        self.timeout = 1.0

    def wait(self) -> dict[str, str]:
        """The answer's parameters. Raises LoginError."""
        end = time.monotonic() + PATIENCE
        while self.answer is None:
            if time.monotonic() > end:
                raise LoginError(
                    f"nobody logged in within {PATIENCE:.0f} s; on a machine without a browser, use --device"
                )
            self.handle_request()
        return self.answer


class _Callback(BaseHTTPRequestHandler):
    server: _Listener

    def do_GET(self) -> None:
        """Take the answer; tell the user that it was taken."""
        parts = urllib.parse.urlsplit(self.path)
        if parts.path != "/callback":
            self.send_error(404)
            return
        self.server.answer = dict(urllib.parse.parse_qsl(parts.query))
        failed = self.server.answer.get("error", "")
        text = f"The provider refused: {escape(failed)}." if failed else "You are logged in."
        page = f"<!doctype html><meta charset=utf-8><title>Moorage</title><p>{text} You can close this window.".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing: the request holds a code."""
