"""Writes a kubeconfig: server, CA and token in one file that any Kubernetes client reads.

Source: the client-go ``clientcmd/api/v1`` types.
"""

from __future__ import annotations

import base64
from pathlib import Path

from moorage.supervisor.layout import write_private


def render(*, server: str, ca_pem: bytes, token: str, user: str, namespace: str = "", cluster: str = "moorage") -> str:
    """The file's text. Every value is quoted as JSON would be, which YAML reads as it is."""
    lines = [
        "apiVersion: v1",
        "kind: Config",
        "clusters:",
        f"- name: {_text(cluster)}",
        "  cluster:",
        f"    server: {_text(server)}",
        f"    certificate-authority-data: {base64.b64encode(ca_pem).decode()}",
        "users:",
        f"- name: {_text(user)}",
        "  user:",
        f"    token: {_text(token)}",
        "contexts:",
        f"- name: {_text(cluster)}",
        "  context:",
        f"    cluster: {_text(cluster)}",
        f"    user: {_text(user)}",
        *([f"    namespace: {_text(namespace)}"] if namespace else []),
        f"current-context: {_text(cluster)}",
        "preferences: {}",
    ]
    return "\n".join(lines) + "\n"


def write(path: Path, *, server: str, ca_pem: bytes, token: str, user: str, namespace: str = "") -> None:
    """Write the file, readable by its owner only."""
    write_private(path, render(server=server, ca_pem=ca_pem, token=token, user=user, namespace=namespace))


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
