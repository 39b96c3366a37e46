"""Logins as they are kept: one private file for each server and provider; refreshed under a lock, by whoever comes first."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from moorage.client.login.http import LoginError
from moorage.client.login.methods import Method
from moorage.client.login.provider import Provider, Refused, Tokens

FOLDER_VARIABLE = "MOORAGE_CONFIG_DIR"
EARLY = 60.0
"""Seconds before its end at which a token is refreshed."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login. ``server_ca`` is what the server is verified with ("": the system's authorities)."""

    server: str
    server_ca: str
    method: Method
    tokens: Tokens

    @property
    def user(self) -> str:
        """Who it is, as the provider says it: for people to read, not to decide by."""
        claims = self.tokens.claims
        return str(claims.get("email") or claims.get("preferred_username") or claims.get("sub") or "")


class NotLoggedIn(LoginError):
    """There is no login, or it is over."""


class Logins:
    """The folder of logins: ``$MOORAGE_CONFIG_DIR``, else ``$XDG_CONFIG_HOME/moorage``, else ``~/.config/moorage``."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or _folder()) / "logins"

    def path(self, server: str, name: str) -> Path:
        """The file of a login."""
        digest = hashlib.sha256(f"{normal(server)}\n{name}".encode()).hexdigest()[:24]
        return self.folder / f"{digest}.json"

    def ca_path(self, server: str) -> Path:
        """The file with a server's CA, for programs that want one."""
        return self.folder / f"{hashlib.sha256(normal(server).encode()).hexdigest()[:24]}.ca.crt"

    def save(self, login: Login) -> None:
        """Keep a login. Raises OSError."""
        with self._locked(login.server, login.method.name):
            self._write(login)

    def forget(self, login: Login) -> None:
        """Remove a login's file."""
        self.path(login.server, login.method.name).unlink(missing_ok=True)

    def find(self, server: str, name: str = "") -> Login:
        """The login at ``server``. Raises NotLoggedIn."""
        if name:
            found = self._read(self.path(server, name))
            if found is not None:
                return found
        else:
            matching = [login for login in self.all() if login.server == normal(server)]
            if matching:
                return matching[-1]
        raise NotLoggedIn(f"you are not logged in at {server}; log in with: moorage login --server {server}")

    def all(self) -> Sequence[Login]:
        """Every login, the newest last."""
        files = sorted(self.folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        return [login for login in map(self._read, files) if login is not None]

    def fresh(self, server: str, name: str = "", now: float | None = None) -> Login:
        """The login with a token that is good for a while. Raises NotLoggedIn, LoginError."""
        login = self.find(server, name)
        if not _ending(login, now):
            return login
        with self._locked(login.server, login.method.name):
            login = self.find(login.server, login.method.name)
            if not _ending(login, now):
                return login  # somebody else refreshed it meanwhile
            return self._refreshed(login, time.time() if now is None else now)

    def _refreshed(self, login: Login, now: float) -> Login:
        again = f"log in again with: moorage login --server {login.server} --issuer {login.method.name}"
        if not login.tokens.refresh_token:
            raise NotLoggedIn(
                f"your login at {login.server} has expired and the provider gave no refresh token; {again}"
            )
        try:
            login = replace(login, tokens=Provider(login.method).refresh(login.tokens))
        except Refused as refusal:
            if refusal.code in ("invalid_grant", "unauthorized_client", "invalid_client"):
                raise NotLoggedIn(f"your login at {login.server} is over ({refusal.code}); {again}") from None
            raise
        except LoginError:
            if now < login.tokens.expires_at:
                return login  # the provider is away for a moment; what there is still holds
            raise
        self._write(login)
        return login

    def _write(self, login: Login) -> None:
        document = {
            "server": normal(login.server),
            "serverCA": login.server_ca,
            "method": asdict(login.method),
            "tokens": {**asdict(login.tokens), "claims": dict(login.tokens.claims)},
        }
        write_private(self.path(login.server, login.method.name), json.dumps(document))
        if login.server_ca:
            write_private(self.ca_path(login.server), login.server_ca)

    def _read(self, path: Path) -> Login | None:
        try:
            value: dict[str, Any] = json.loads(path.read_text("utf-8"))
            method = Method(**{**value["method"], "scopes": tuple(value["method"]["scopes"])})
            return Login(value["server"], value["serverCA"], method, Tokens(**value["tokens"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LoginError(f"{path} cannot be read ({error}); remove it and log in again") from None

    @contextlib.contextmanager
    def _locked(self, server: str, name: str) -> Iterator[None]:
        """Of several processes that find a token ending, one refreshes: refresh tokens are good for one use."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path(server, name).with_suffix(".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def normal(server: str) -> str:
    """A server's URL as it is compared."""
    return server.rstrip("/").lower()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _ending(login: Login, now: float | None) -> bool:
    return (time.time() if now is None else now) > login.tokens.expires_at - EARLY


def _folder() -> Path:
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "moorage"
