"""A command's way to the API: a kubeconfig, one small HTTPS client, refusals as sentences."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from moorage.cli.options import fail
from moorage.client.credentials import Token
from moorage.client.exec_plugin import ExecError
from moorage.client.kubeconfig import Kubeconfig, context_of, load

JSON = "application/json"
USERS_KUBECONFIG = Path("~/.kube/config")


def find_kubeconfig(data_dir: Path, kubeconfig: Path | None) -> Path | None:
    """The kubeconfig that a command uses: the one that is named (of several, as in KUBECONFIG, the first that is there), else
    None for the administrator's in ``data_dir``, else the user's own.
    """
    if kubeconfig is not None:
        named = [Path(text).expanduser() for text in str(kubeconfig).split(os.pathsep) if text]
        return next((file for file in named if file.exists()), named[0] if named else kubeconfig)
    users = USERS_KUBECONFIG.expanduser()
    if users.exists() and not (data_dir.expanduser() / "kubeconfig").exists():
        return users
    return None


def open_session(data_dir: Path, kubeconfig: Path | None, context: str = "") -> Session:
    """The session of a command with the options of ``moorage.cli.options``."""
    return Session(data_dir, kubeconfig=find_kubeconfig(data_dir, kubeconfig), context=context)


class Session:
    """Requests with the identity of a kubeconfig. ``fail``s with one sentence where the API cannot be asked or refuses.

    The kubeconfig is the one that is named, or else the administrator's in ``data_dir``.
    """

    def __init__(self, data_dir: Path, *, kubeconfig: Path | None = None, context: str = "") -> None:
        self.file = kubeconfig or data_dir.expanduser().absolute() / "kubeconfig"
        try:
            self.config: Kubeconfig = load(self.file, context)
            self._tls: ssl.SSLContext = context_of(self.config)
            self._token: Token | None = self.config.client_token()
        except FileNotFoundError:
            if kubeconfig is not None:
                fail(f"{self.file} does not exist; name another kubeconfig with --kubeconfig or KUBECONFIG")
            fail(f"{self.file} does not exist; start the platform with: moorage up --data-dir {self.file.parent}")
        except (ValueError, OSError) as error:
            fail(error)

    def request(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, content_type: str = JSON
    ) -> dict[str, Any]:
        """The decoded answer."""
        code, answer = self.try_request(method, path, document, content_type)
        if code >= 400:
            fail(answer.get("message") or f"the API server answered {code}")
        return answer

    def try_request(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, content_type: str = JSON
    ) -> tuple[int, dict[str, Any]]:
        """(code, decoded answer), refusals included."""
        body = None if document is None else json.dumps(document).encode()
        try:
            with self._open(method, path, body, content_type) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _decoded(error.read())
        except OSError as error:
            self._unreachable(error)

    def lines(self, path: str) -> Iterator[dict[str, Any]]:
        """The decoded lines of a long answer, each as it comes."""
        try:
            with self._open("GET", path, None, JSON) as answer:
                for line in answer:
                    yield _decoded(line)
        except urllib.error.HTTPError as error:
            fail(_decoded(error.read()).get("message") or f"the API server answered {error.code}")
        except OSError as error:
            self._unreachable(error)

    def _open(self, method: str, path: str, body: bytes | None, content_type: str) -> Any:
        request = urllib.request.Request(self.config.server + path, body, method=method)  # noqa: S310 - always https
        if self._token is not None:
            try:
                request.add_header("Authorization", f"Bearer {self._token.current()}")
            except ExecError as error:
                fail(error)
        request.add_header("Content-Type", content_type)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )
        return opener.open(request, timeout=30)

    def _unreachable(self, error: OSError) -> NoReturn:
        fail(f"{self.config.server} cannot be reached: {error}; is the platform running? See: moorage status")


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
