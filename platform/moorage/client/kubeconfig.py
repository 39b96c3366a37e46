"""Reads the part of a kubeconfig that this client uses: server, CA, token, client certificate or exec program of one context.

Source: the client-go ``clientcmd/api/v1`` types. ``insecure-skip-tls-verify`` and auth providers are refused by name.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from moorage.client.credentials import Token, tls_context
from moorage.client.exec_plugin import ExecError, ExecPlugin, ExecToken


class KubeconfigError(ValueError):
    """The file does not say how to reach a server; the message names file and field."""


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """One context, with relative paths resolved against the file's folder."""

    server: str
    namespace: str
    user: str
    ca_pem: str
    token: str
    token_file: str
    certificate: str
    key: str
    plugin: ExecPlugin | None = None

    def client_token(self) -> Token | None:
        """The bearer token, or None where a client certificate is the identity."""
        if self.token_file:
            return Token(file=self.token_file)
        if self.token:
            return Token(self.token)
        return ExecToken(self.plugin) if self.plugin is not None else None


def load(path: str | Path, context: str = "") -> Kubeconfig:
    """Read ``path`` and pick ``context`` (default: ``current-context``). Raises KubeconfigError, OSError."""
    file = Path(path).expanduser()
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{file}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{file}: not a kubeconfig")
    name = context or str(document.get("current-context") or "")
    chosen = _named(file, document, "contexts", "context", name)
    cluster = _named(file, document, "clusters", "cluster", str(chosen.get("cluster") or ""))
    user = _named(file, document, "users", "user", str(chosen.get("user") or ""))
    for part, field in ((cluster, "insecure-skip-tls-verify"), (user, "auth-provider")):
        if part.get(field):
            raise KubeconfigError(f"{file}: {field} is not supported; give a CA and a token")
    if not cluster.get("server"):
        raise KubeconfigError(f"{file}: clusters[].cluster.server is missing")
    server, ca_pem = str(cluster["server"]), _content(file, cluster, "certificate-authority")
    try:
        plugin = ExecPlugin.of(file.parent, user["exec"], server, ca_pem) if user.get("exec") else None
    except ExecError as error:
        raise KubeconfigError(f"{file}: {error}") from error
    return Kubeconfig(
        server=server,
        namespace=str(chosen.get("namespace") or ""),
        user=str(chosen.get("user") or ""),
        ca_pem=ca_pem,
        token=str(user.get("token") or ""),
        token_file=_resolved(file, str(user.get("tokenFile") or "")),
        certificate=_content(file, user, "client-certificate"),
        key=_content(file, user, "client-key"),
        plugin=plugin,
    )


def context_of(config: Kubeconfig) -> ssl.SSLContext:
    """The TLS context for ``config``. The client key touches the disk only as long as OpenSSL needs to read it."""
    if not config.certificate:
        return tls_context(ca_pem=config.ca_pem)
    with tempfile.TemporaryDirectory(prefix="moorage-client-") as folder:
        certificate, key = os.path.join(folder, "crt"), os.path.join(folder, "key")
        for path, text in ((certificate, config.certificate), (key, config.key)):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(text)
        return tls_context(ca_pem=config.ca_pem, client_certificate=(certificate, key))


def _named(file: Path, document: Mapping[str, Any], section: str, field: str, name: str) -> Mapping[str, Any]:
    for entry in document.get(section) or ():
        if isinstance(entry, dict) and entry.get("name") == name:
            value = entry.get(field)
            return value if isinstance(value, dict) else {}
    raise KubeconfigError(f"{file}: {section} has no entry named {name!r}")


def _content(file: Path, part: Mapping[str, Any], field: str) -> str:
    """``FIELD-data`` (base64) or the contents of the file that ``FIELD`` names, as text."""
    data = part.get(f"{field}-data")
    if data:
        try:
            return base64.b64decode(str(data), validate=True).decode("ascii")
        except ValueError as error:
            raise KubeconfigError(f"{file}: {field}-data is not base64 of PEM") from error
    path = _resolved(file, str(part.get(field) or ""))
    return Path(path).read_text(encoding="ascii") if path else ""


def _resolved(file: Path, path: str) -> str:
    return str(file.parent / path) if path else ""
