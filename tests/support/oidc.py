"""A real OpenID provider for tests (npm's certified ``oidc-provider``) over TLS, and a user who clicks through its pages.

Whoever logs in as ``alice+devs+admins`` is ``alice@example.test`` in the groups ``devs`` and ``admins``.
"""

from __future__ import annotations

import html
import json
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from scripts import fetch_provider

from tests.support.certificates import Certificates

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
PROGRAM = ROOT / "tests" / "support" / "provider" / "provider.mjs"


@dataclass
class Provider:
    """A running provider. ``ca`` is what its certificate is verified with."""

    issuer: str
    ca: Path
    process: subprocess.Popen[str]
    key: str

    def rotate(self, *, keep: bool = False) -> str:
        """Sign with a new key; its id. ``keep``: go on publishing the one before."""
        assert self.process.stdin is not None
        self.process.stdin.write("add\n" if keep else "rotate\n")
        self.process.stdin.flush()
        self.key = self._said()["key"]
        return self.key

    def _said(self) -> dict[str, str]:
        assert self.process.stdout is not None
        said: dict[str, str] = json.loads(self.process.stdout.readline())
        return said

    def browser(self) -> Browser:
        """Somebody new in front of a browser."""
        return Browser(self.ca)

    def config(self, **more: Any) -> dict[str, Any]:
        """The ``jwt`` entry of an AuthenticationConfiguration for this provider."""
        return {
            "issuer": {"url": self.issuer, "audiences": ["moorage"], "certificateAuthority": self.ca.read_text()},
            "claimMappings": {
                "username": {"claim": "email", "prefix": "corp:"},
                "groups": {"claim": "groups", "prefix": "corp:"},
            },
            "login": {"name": "corp", "clientID": "moorage", "scopes": ["openid", "email", "groups", "offline_access"]},
            **more,
        }


class Browser:
    """Follows links and fills in forms, with cookies, as a person would. Plain HTTP is for the loopback answer only."""

    def __init__(self, ca: Path) -> None:
        tls = ssl.create_default_context(cafile=str(ca))
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )

    def open(self, url: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        """(address, text) of the page that one ends up on."""
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            with self._opener.open(url, data, timeout=20) as answer:
                return answer.url, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.url or url, error.read().decode()

    def log_in(self, url: str, user: str) -> str:
        """Open ``url`` and do what the provider asks for; the text of the last page."""
        address, page = self.open(url)
        for _ in range(10):
            form = re.search(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", page, re.DOTALL)
            if form is None:
                return page
            fields = dict(re.findall(r'name="([^"]+)"[^>]*value="([^"]*)"', form[2]))
            if 'name="login"' in form[2]:
                fields |= {"login": user, "password": "anything"}
            action = urllib.parse.urljoin(address, html.unescape(form[1]))
            address, page = self.open(action, {name: html.unescape(value) for name, value in fields.items()})
        raise AssertionError(f"the provider asks and asks: {page[:500]}")


@contextmanager
def running_provider(certificates: Certificates) -> Iterator[Provider]:
    """A provider of one's own."""
    if not (TOOLS / "oidc-provider" / ".stamp").exists():
        subprocess.run([sys.executable, str(ROOT / "scripts" / "fetch_provider.py"), str(TOOLS)], check=True)
    node = fetch_provider.ensure_node(TOOLS)
    process = subprocess.Popen(
        [str(node), str(PROGRAM), str(TOOLS / "oidc-provider"), str(certificates.certificate), str(certificates.key)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Provider(said["issuer"], certificates.ca, process, said["key"])
    finally:
        process.terminate()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture(scope="module")
def provider(certificates: Certificates) -> Iterator[Provider]:
    """A provider for one module's tests."""
    with running_provider(certificates) as running:
        yield running
