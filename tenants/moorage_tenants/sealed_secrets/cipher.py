"""Sealing one value to a public key: X25519 with a fresh key for each value, HKDF-SHA256, AES-256-GCM. Pure.

A sealed value is ``version:u8 key-id:8 ephemeral-public-key:32 ciphertext+tag``, in base64. The namespace, the Secret's name and
the key of the value are authenticated data, and come from where the value is used, never from what is sealed: a value that is
moved does not open (CVE-2026-22728). The AES key is used once, so its nonce is zero (as in HPKE, RFC 9180, 5.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = 1
_ID, _POINT, _TAG = 8, 32, 16
_HEAD = 1 + _ID + _POINT
_NONCE = bytes(12)


class Unreadable(Exception):
    """A sealed value does not open. The text says why and what to do; it shows nothing of the value."""


def key_id(public: bytes) -> str:
    """What a public key (32 bytes) is called: 16 hexadecimal digits."""
    return hashlib.sha256(b"moorage sealing key" + public).hexdigest()[: 2 * _ID]


def public_of(private: bytes) -> bytes:
    """The public key of a private one (32 bytes each)."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def seal(public: bytes, value: bytes, *, namespace: str, name: str, key: str) -> str:
    """``value`` for the Secret ``namespace``/``name`` under ``key``, readable by the holder of the private key alone."""
    ephemeral = X25519PrivateKey.generate()
    point = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    ciphertext = AESGCM(_derived(shared, point, public)).encrypt(_NONCE, value, _scope(namespace, name, key))
    return base64.b64encode(bytes((VERSION,)) + bytes.fromhex(key_id(public)) + point + ciphertext).decode()


def sealed_with(text: str) -> str:
    """The id of the key that a value is sealed to. Raises Unreadable for what is no sealed value."""
    return _decoded(text)[1 : 1 + _ID].hex()


def unseal(privates: Mapping[str, bytes], text: str, *, namespace: str, name: str, key: str) -> bytes:
    """The value. ``privates``: private keys by id. Raises Unreadable."""
    sealed = _decoded(text)
    used = sealed[1 : 1 + _ID].hex()
    private = privates.get(used)
    if private is None:
        raise Unreadable(
            f"it is sealed to the key {used}, which is none of this platform's; seal it again with: "
            f"moorage secrets seal {name} -n {namespace}"
        )
    point = sealed[1 + _ID : _HEAD]
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(point))
        cipher = AESGCM(_derived(shared, point, public_of(private)))
        return cipher.decrypt(_NONCE, sealed[_HEAD:], _scope(namespace, name, key))
    except (InvalidTag, ValueError):
        # ValueError: a point of small order, which no honest sealer sends.
        raise Unreadable(
            f'it was not sealed for key "{key}" of Secret "{name}" in namespace "{namespace}", or was changed since; '
            f"a sealed value opens in its own place only. Seal it again with: moorage secrets seal {name} -n {namespace}"
        ) from None


def _decoded(text: str) -> bytes:
    try:
        sealed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        sealed = b""
    if len(sealed) < _HEAD + _TAG or sealed[0] != VERSION:
        raise Unreadable("it is no sealed value of a known version; make one with: moorage secrets seal")
    return sealed


def _derived(shared: bytes, point: bytes, public: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=point + public, info=b"moorage sealed secret 1").derive(shared)


def _scope(*parts: str) -> bytes:
    """Parts with their lengths, so that no two different lists give the same bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
