"""The shape of everything that is encrypted: ``version:u8 length:u8 key-id nonce:12 ciphertext+tag``, AES-256-GCM.

96-bit random nonces allow 2**32 messages per key (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
NONCE = 12
KEY = 32
"""Bytes of every symmetric key."""


def joined(*parts: str) -> bytes:
    """Parts with their lengths, so that no two different lists give the same bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def encrypt(cipher: AESGCM, key_id: str, plaintext: bytes, scope: bytes) -> bytes:
    """A frame that names its key and opens for ``scope`` only."""
    name = key_id.encode("ascii")
    nonce = os.urandom(NONCE)
    return bytes((VERSION, len(name))) + name + nonce + cipher.encrypt(nonce, plaintext, scope)


def split(frame: bytes) -> tuple[str, bytes, bytes]:
    """(key id, nonce, ciphertext). Raises InvalidTag for what is no frame."""
    if len(frame) < 2 or frame[0] != VERSION or len(frame) < 2 + frame[1] + NONCE:
        raise InvalidTag("not a sealed document of a known version")
    end = 2 + frame[1]
    return frame[2:end].decode("ascii", "replace"), frame[end : end + NONCE], frame[end + NONCE :]


def prefix(key_id: str) -> bytes:
    """How every frame of this key begins: SQL tells by it what is sealed with which key."""
    name = key_id.encode("ascii")
    return bytes((VERSION, len(name))) + name
