"""The client's certificate: taken from the TLS layer once a connection, handed to each request in its ASGI scope."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

KEY = "moorage.certificate"
"""The scope's key: DER bytes of a certificate that the TLS layer has verified against the client CA."""


def certificate_of(transport: asyncio.BaseTransport) -> bytes | None:
    """The certificate that the other end of a connection presented, as DER; None where it presented none.

    Only what was verified gets here: without a client CA, OpenSSL asks for no certificate and hands none out.
    """
    tls = transport.get_extra_info("ssl_object")
    found: bytes | None = tls.getpeercert(True) if tls is not None else None
    return found


def peer_certificate(scope: Mapping[str, Any]) -> bytes | None:
    """The certificate behind a request, or None."""
    found: bytes | None = scope.get(KEY)
    return found
