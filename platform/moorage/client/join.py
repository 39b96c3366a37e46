"""Join tokens: how a machine that knows nothing but a token finds out whether it talks to the right server.

A join token is ``moorage1.<sha256 of the CA certificate (DER), hex>.<secret>``. The server's CA is fetched once over a connection
that is not yet trusted: a CA certificate is public, so nothing is lost by asking, and the answer is believed only if
its hash is the one in the token. The token itself is sent for the first time over a connection verified with that CA.
(The idea is kubeadm's ``--discovery-token-ca-cert-hash``; k3s hashes the CA file the same way.)
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

_FORM = re.compile(r"moorage1\.([0-9a-f]{64})\.([A-Za-z0-9_-]+)")
_LARGEST = 2**16


class JoinTokenError(ValueError):
    """The token is not one, or the server is not the one that it was made for."""


class OtherAuthority(JoinTokenError):
    """The server's CA is not the one that was expected."""


class JoinToken(NamedTuple):
    """``text`` is what is sent as bearer token: the whole."""

    text: str
    ca_sha256: str


def parse(text: str) -> JoinToken:
    """Read a join token. Raises JoinTokenError, without repeating the token."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise JoinTokenError("not a join token: expected moorage1.<sha256 of the CA certificate>.<secret>")
    return JoinToken(text.strip(), match[1])


def fingerprint(certificate_pem: str) -> str:
    """SHA-256 of the DER form of the first certificate, in hex. Raises ValueError where there is none."""
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


async def bootstrap_ca(server: str, join_token: str, *, timeout: float = 10.0) -> str:
    """The CA certificate (PEM) of ``server``, proven by the hash in ``join_token``. No credential is sent.

    Raises JoinTokenError where the hash differs (a wrong server, or somebody in between), OSError where none answers.
    """
    token = parse(join_token)
    try:
        return await fetch_ca(server, token.ca_sha256, timeout=timeout)
    except OtherAuthority:
        raise JoinTokenError(
            f"{server} presents another CA than the one that this join token was made for; "
            "check the server's address, or take a new token from it"
        ) from None


async def fetch_ca(server: str, sha256: str, *, timeout: float = 10.0) -> str:
    """The CA certificate (PEM) of ``server`` whose hash is ``sha256`` (hex). No credential is sent.

    Raises OtherAuthority where it has none of that hash, OSError where none answers.
    """
    pem = await asyncio.wait_for(_fetch_public(server, "/cacerts"), timeout)
    for block in re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", pem, re.DOTALL):
        if hmac.compare_digest(fingerprint(block), sha256):
            return str(block)
    raise OtherAuthority("the server presents another CA than the one whose hash was given")


async def _fetch_public(server: str, path: str) -> str:
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname:
        raise JoinTokenError(f"server must be https://HOST:PORT, not {server!r}")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE  # the hash in the token verifies what is read; see the module's text
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=tls)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode("ascii"))
        await writer.drain()
        answer = bytearray()
        while len(answer) <= _LARGEST and (chunk := await reader.read(_LARGEST)):
            answer += chunk
    finally:
        writer.close()
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or status[1] != b"200" or len(answer) > _LARGEST:
        raise OSError(f"{server}{path}: the server answered {head[:100].decode('latin-1').splitlines()[:1]}")
    return body.decode("ascii", "replace")
