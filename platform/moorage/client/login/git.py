"""Makes Git use a login: ``moorage git-credential`` as its credential helper for one host. Source: gitcredentials(7)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from moorage.client.login.logins import Login, Logins, normal

USER = "login"
"""The user name that is sent; the server looks at the token only."""


def configure(logins: Logins, login: Login, command: str) -> bool:
    """Tell Git, in the user's own configuration; False where there is no Git or it refuses."""
    git = shutil.which("git")
    if git is None:
        return False
    base = ["config", "--global"]
    settings = {f"credential.{login.server}.helper": f"!{_quoted(command)} git-credential"}
    if login.server_ca:
        settings[f"http.{login.server}/.sslCAInfo"] = str(logins.ca_path(login.server))
    return all(
        subprocess.run([git, *base, name, value], check=False, stdin=subprocess.DEVNULL).returncode == 0
        for name, value in settings.items()
    )


def unconfigure(login: Login) -> None:
    """Take it back."""
    git = shutil.which("git")
    if git is not None:
        for name in (f"credential.{login.server}.helper", f"http.{login.server}/.sslCAInfo"):
            subprocess.run([git, "config", "--global", "--unset-all", name], check=False, stdin=subprocess.DEVNULL)


def asked(lines: Iterable[str]) -> Mapping[str, str]:
    """What Git wants to know: ``key=value`` lines up to an empty one."""
    found = {}
    for line in lines:
        key, equals, value = line.rstrip("\n").partition("=")
        if not equals:
            break
        found[key] = value
    return found


def server_of(wanted: Mapping[str, str]) -> str | None:
    """The server that Git asks about; None for what is not https."""
    host = wanted.get("host", "")
    return normal(f"https://{host}") if wanted.get("protocol") == "https" and host else None


def same_server(login: Login, server: str) -> bool:
    """Whether a login is for ``server``; the standard port may be left out."""
    return _place(login.server) == _place(server)


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 443


def _quoted(command: str) -> str:
    """A path as the shell that Git starts takes it whole."""
    return "'" + command.replace("'", "'\\''") + "'" if os.sep in command else command
