"""The API as any HTTP client sees it: verbs, patch types, accepted forms and watches of a running installation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from tests.support.installation import Installation

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
WATCH_SECONDS = 30
"""How long a watch waits for its next event before the test fails."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``document`` is {} where the body is no JSON object."""

    code: int
    headers: dict[str, str]
    document: Document
    text: str

    def ok(self) -> Document:
        """The document of a success; fails the test for a refusal."""
        assert self.code < 300, f"{self.code}: {self.text}"
        return self.document

    def refused(self, code: int) -> str:
        """The message of the Status of a refusal with ``code``."""
        assert self.code == code, f"{self.code}: {self.text}"
        assert self.document["kind"] == "Status"
        assert self.document["code"] == code
        return str(self.document["message"])

    @property
    def warnings(self) -> str:
        """The Warning header, "" without one."""
        return self.headers.get("warning", "")


class Rest:
    """Requests as one user. Query parameters are keyword arguments."""

    def __init__(self, installation: Installation, token: str = "") -> None:
        self._url = installation.url
        self._pool = urllib3.PoolManager(ca_certs=str(installation.data_dir / "pki" / "ca.crt"), maxsize=8)
        self._authorization = f"Bearer {token or installation.token()}"

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content: str = "application/json",
        accept: str = "",
        **query: Any,
    ) -> Answer:
        """One request; ``body`` is encoded as JSON unless it is text."""
        asked = {"Authorization": self._authorization, "Content-Type": content, "Accept": accept or "*/*"}
        data = body if isinstance(body, str) or body is None else json.dumps(body)
        got = self._pool.request(method, self._address(path, query), body=data, headers=asked, timeout=60.0)
        text = got.data.decode()
        document = json.loads(text) if text.startswith("{") else {}
        headers = {name.lower(): ", ".join(got.headers.getlist(name)) for name in got.headers}
        return Answer(got.status, headers, document, text)

    def get(self, path: str, **query: Any) -> Document:
        """An object or a list."""
        return self.request("GET", path, **query).ok()

    def names(self, path: str, **query: Any) -> list[str]:
        """The names in a list."""
        return [item["metadata"]["name"] for item in self.get(path, **query)["items"]]

    def create(self, path: str, body: Document, **query: Any) -> Document:
        """POST."""
        return self.request("POST", path, body, **query).ok()

    def change(self, path: str, change: Callable[[Document], None], **query: Any) -> Document:
        """Read, change and PUT, again where somebody else (a controller, say) wrote meanwhile, as clients do."""
        for _ in range(20):
            document = self.get(path)
            change(document)
            answer = self.request("PUT", path, document, **query)
            if answer.code != 409:
                return answer.ok()
        raise AssertionError(f"{path} is changed all the time")

    def replace(self, path: str, body: Document, **query: Any) -> Document:
        """PUT."""
        return self.request("PUT", path, body, **query).ok()

    def patch(self, path: str, body: Any, content: str = MERGE_PATCH, **query: Any) -> Document:
        """PATCH."""
        return self.request("PATCH", path, body, content, **query).ok()

    def apply(self, path: str, body: Document, manager: str, **query: Any) -> Answer:
        """Server-side apply."""
        return self.request("PATCH", path, body, APPLY, fieldManager=manager, **query)

    def delete(self, path: str, body: Any = None, **query: Any) -> Document:
        """DELETE, of an object or of a collection."""
        return self.request("DELETE", path, body, **query).ok()

    def missing(self, path: str) -> bool:
        """Whether an object is not there."""
        return self.request("GET", path).code == 404

    @contextmanager
    def watch(self, path: str, **query: Any) -> Iterator[Iterator[tuple[str, Document]]]:
        """The events of a watch, one after the other as (type, object)."""
        timeout = urllib3.Timeout(connect=10, read=WATCH_SECONDS)
        answer = self._pool.request(
            "GET",
            self._address(path, {"watch": "true", **query}),
            headers={"Authorization": self._authorization},
            timeout=timeout,
            preload_content=False,
        )
        try:
            assert answer.status == 200, answer.data
            yield _events(answer)
        finally:
            answer.close()

    def _address(self, path: str, query: dict[str, Any]) -> str:
        text = urlencode(query) if query else ""
        return f"{self._url}{path}{'?' if text else ''}{text}"


def _events(answer: urllib3.BaseHTTPResponse) -> Iterator[tuple[str, Document]]:
    rest = b""
    for part in answer.stream(65536):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            event = json.loads(line)
            yield event["type"], event["object"]
