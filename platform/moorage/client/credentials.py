"""Who we are and whom we trust: bearer tokens from files, TLS contexts that always verify."""

from __future__ import annotations

import os
import ssl
from pathlib import Path


class Token:
    """A bearer token, given or kept in a file that may be replaced while we run (rotation)."""

    def __init__(self, value: str = "", file: str | Path | None = None) -> None:
        """Raises ValueError unless exactly one of both is given, OSError where the file cannot be read."""
        if bool(value) == (file is not None):
            raise ValueError("give a token or a token file, not both")
        self._file = file
        self._stamp: tuple[int, int, int] = (0, 0, 0)
        self._value = value.strip()
        self.current()

    def current(self) -> str:
        """The token to send now. A file that is gone or empty for a moment leaves the last one in force."""
        if self._file is None:
            return self._value
        try:
            stat = os.stat(self._file)
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if stamp != self._stamp:
                value = Path(self._file).read_text(encoding="ascii").strip()
                if value:
                    self._value, self._stamp = value, stamp
        except OSError:
            if not self._value:
                raise
        if not self._value:
            raise ValueError(f"token file {self._file} is empty")
        return self._value


def tls_context(
    *,
    ca_file: str | Path | None = None,
    ca_pem: str = "",
    client_certificate: tuple[str, str] | None = None,
) -> ssl.SSLContext:
    """A context that verifies chain and host name against the given CA, or against the system's where none is given.

    ``client_certificate`` is (certificate file, key file). Raises OSError and ssl.SSLError on unusable files.
    """
    if ca_file is not None:
        context = ssl.create_default_context(cafile=str(ca_file))
    elif ca_pem:
        context = ssl.create_default_context(cadata=ca_pem)
    else:
        context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client_certificate is not None:
        context.load_cert_chain(*client_certificate)
    return context
