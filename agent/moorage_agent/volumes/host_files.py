"""Files of the node that pods are told of."""

from __future__ import annotations

from pathlib import Path

_RESOLV = Path("/etc/resolv.conf")
_SYSTEMD = Path("/run/systemd/resolve/resolv.conf")
"""Where systemd-resolved keeps the real servers behind its own address."""
_HOSTS = Path("/etc/hosts")


def resolv_conf(own: Path | None = None) -> str:
    """The node's ``resolv.conf``, or ``own``; of a node with systemd-resolved, the one that names the servers behind it."""
    if own is not None:
        return _read(own)
    text = _read(_RESOLV)
    return _read(_SYSTEMD) or text if "127.0.0.53" in text else text


def hosts() -> str:
    """The node's ``/etc/hosts``."""
    return _read(_HOSTS)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
