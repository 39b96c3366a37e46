"""Writes a login into a kubeconfig: an exec plug-in that prints the login's token, beside whatever else the file holds.

Source: the client-go ``clientcmd/api/v1`` types, KEP-541 (exec credential plug-ins).
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from moorage.client.login.http import LoginError
from moorage.client.login.logins import Login, write_private

API_VERSION = "client.authentication.k8s.io/v1"
_SECTIONS = (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))


def default_path() -> Path:
    """The kubeconfig that kubectl writes to: the first of ``$KUBECONFIG``, else ``~/.kube/config``."""
    listed = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(listed[0] if listed else "~/.kube/config").expanduser()


def default_name(login: Login) -> str:
    """What a login's context is called: the server's host, and the provider where it is not the only one."""
    parts = urlsplit(login.server)
    name = f"moorage-{parts.hostname}" + (f"-{parts.port}" if parts.port not in (None, 443, 6443) else "")
    return name if login.method.name == "default" else f"{name}-{login.method.name}"


def merge(path: Path, login: Login, *, name: str, command: str, namespace: str = "") -> None:
    """Put cluster, user and context ``name`` into ``path``, and make the context the current one. Raises LoginError, OSError."""
    document = _read(path)
    context = {"cluster": name, "user": name} | ({"namespace": namespace} if namespace else {})
    for (section, field), value in zip(_SECTIONS, (_cluster(login), _user(login, command), context), strict=True):
        entries = _entries(path, document, section)
        document[section] = [each for each in entries if each.get("name") != name] + [{"name": name, field: value}]
    document["current-context"] = name
    write_private(path, yaml.safe_dump(document, sort_keys=False, default_flow_style=False))


def remove(path: Path, server: str, login_name: str) -> list[str]:
    """Take the entries of a login out again; the names of what was removed. Raises LoginError, OSError."""
    if not path.exists():
        return []
    document = _read(path)
    names = [
        each.get("name")
        for each in _entries(path, document, "users")
        if login_of((each.get("user") or {}).get("exec")) == (server, login_name)
    ]
    if names:
        for section, _ in _SECTIONS:
            document[section] = [each for each in _entries(path, document, section) if each.get("name") not in names]
        if document.get("current-context") in names:
            document["current-context"] = ""
        write_private(path, yaml.safe_dump(document, sort_keys=False, default_flow_style=False))
    return [str(name) for name in names]


def login_of(plugin: Any) -> tuple[str, str] | None:
    """(server, login name) of an exec plug-in that is ours, or None."""
    if not isinstance(plugin, dict) or Path(str(plugin.get("command") or "")).name != "moorage":
        return None
    match plugin.get("args"):
        case ["token", "--server", str(server), "--issuer", str(name)]:
            return server, name
    return None


def _cluster(login: Login) -> dict[str, Any]:
    cluster: dict[str, Any] = {"server": login.server}
    if login.server_ca:
        cluster["certificate-authority-data"] = base64.b64encode(login.server_ca.encode()).decode()
    return cluster


def _user(login: Login, command: str) -> dict[str, Any]:
    return {
        "exec": {
            "apiVersion": API_VERSION,
            "command": command,
            "args": ["token", "--server", login.server, "--issuer", login.method.name],
            "interactiveMode": "Never",
            "provideClusterInfo": False,
            "installHint": "moorage is missing; install it, or log in again from where it is: moorage login",
        }
    }


def _read(path: Path) -> dict[str, Any]:
    empty = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": [], "preferences": {}}
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        return empty
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LoginError(f"{path} is no kubeconfig, so nothing was written to it: {error}") from None
    if document is None:
        return empty
    if not isinstance(document, dict):
        raise LoginError(f"{path} is no kubeconfig, so nothing was written to it")
    return document


def _entries(path: Path, document: dict[str, Any], section: str) -> list[dict[str, Any]]:
    entries = document.get(section) or []
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise LoginError(f"{path}: {section} is no list of entries; nothing was written")
    return entries
