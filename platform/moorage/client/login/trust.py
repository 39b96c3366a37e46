"""Which CA a server is verified with at the first login: given as a file, pinned by its hash, or one that the system trusts.

Verification is never skipped: where none of these holds, the user is told what to ask the administrator for.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path

from moorage.client import join
from moorage.client.login.http import Http, LoginError
from moorage.client.login.methods import PATH

_HASH = re.compile(r"(?:sha256:)?((?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2})", re.IGNORECASE)


def find(server: str, ca_file: Path | None, ca_hash: str, known: str = "") -> str:
    """The CA certificates (PEM) to verify ``server`` with; "" for the system's. ``known`` is what an earlier login used. Raises
    LoginError.
    """
    if ca_file is not None:
        try:
            return ca_file.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise LoginError(f"--ca-file {ca_file}: cannot be read: {error}") from None
    if ca_hash:
        match = _HASH.fullmatch(ca_hash.strip())
        if match is None:
            raise LoginError("--ca-hash: must be the SHA-256 of the CA certificate, 64 hexadecimal digits")
        try:
            return asyncio.run(join.fetch_ca(server, match[1].lower().replace(":", "")))
        except (join.JoinTokenError, OSError, TimeoutError) as error:
            raise LoginError(f"{server}: {str(error) or 'no answer'}") from None
    if known:
        return known
    try:
        Http().get(server.rstrip("/") + PATH)
    except LoginError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise LoginError(
                f"{server} presents a certificate that this machine does not know ({reason.verify_message}). Ask its "
                "administrator for the CA certificate and give it with --ca-file, or for the certificate's SHA-256 and give it "
                "with --ca-hash (openssl x509 -noout -fingerprint -sha256 -in DATA_DIR/pki/ca.crt)"
            ) from None
        raise
    return ""
