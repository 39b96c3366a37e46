"""Encryption of secret documents: AES-256-GCM, a data key per namespace, wrapped by a key-encryption key (KEK).

A ciphertext is ``version:u8 length:u8 key-id nonce:12 ciphertext+tag``; a wrapped key is the same shape and names its KEK.
Associated data holds the scope (cluster, group/resource, namespace, name, uid), so that nothing sealed can be moved to
where another may read it (CVE-2026-22728). 96-bit random nonces allow 2**32 documents per data key (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from moorage.store.contracts import KeyStore, SealContext

VERSION = 1
NONCE = 12
KEY = 32


class BadKek(ValueError):
    """The key-encryption key cannot be used; the text says where it came from and what it must look like."""


class Kek:
    """Key-encryption keys: the first wraps, all unwrap (so that a new one can be put in front of an old one)."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY for key in keys):
            raise BadKek(f"a key-encryption key has {KEY} bytes")
        self._ciphers = {hashlib.sha256(b"moorage kek id" + key).hexdigest()[:16]: AESGCM(key) for key in keys}
        self._current = next(iter(self._ciphers))
        self._secret = keys[0]

    @classmethod
    def parse(cls, text: str, source: str) -> Kek:
        """Keys from ``text``: 64 hexadecimal digits a line. Raises BadKek naming ``source``, never the text."""
        try:
            return cls([bytes.fromhex(line) for line in text.split()])
        except ValueError:
            raise BadKek(
                f"{source} must hold key-encryption keys of 64 hexadecimal digits, one a line; "
                "make one with: openssl rand -hex 32"
            ) from None

    @classmethod
    def load(cls, path: Path) -> Kek:
        """Keys from a file. Raises BadKek."""
        try:
            return cls.parse(path.read_text("ascii"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise BadKek(f"the key-encryption key {path} cannot be read: {error}") from None

    def derive(self, purpose: bytes) -> bytes:
        """A key for something else that only holders of the current key can know (HKDF, RFC 5869)."""
        return HKDF(hashes.SHA256(), KEY, salt=None, info=b"moorage " + purpose).derive(self._secret)

    def wrap(self, key: bytes, scope: bytes) -> bytes:
        """A data key, encrypted for ``scope``."""
        return _encrypt(self._ciphers[self._current], self._current, key, scope)

    def unwrap(self, wrapped: bytes, scope: bytes) -> bytes:
        """The data key. Raises InvalidTag where it is not of this scope or of none of these KEKs."""
        kek_id, nonce, ciphertext = _split(wrapped)
        cipher = self._ciphers.get(kek_id)
        if cipher is None:
            raise InvalidTag(f"the data key is wrapped by the key-encryption key {kek_id}, which is not configured")
        return cipher.decrypt(nonce, ciphertext, scope)


def new_kek() -> str:
    """A fresh key-encryption key as the text of its file."""
    return secrets.token_hex(KEY) + "\n"


class DocumentSealer:
    """Implements ``moorage.store.contracts.Sealer``. ``cluster`` is the cluster's uid."""

    def __init__(self, kek: Kek, keys: KeyStore, cluster: str) -> None:
        self._kek = kek
        self._keys = keys
        self._cluster = cluster
        self._ciphers: dict[tuple[str, str], AESGCM] = {}
        self._current: dict[str, str] = {}
        self._making = asyncio.Lock()

    async def seal(self, plaintext: bytes, context: SealContext) -> bytes:
        """The ciphertext; it names its key."""
        key_id = self._current.get(context.namespace) or await self._choose(context.namespace)
        return _encrypt(self._ciphers[context.namespace, key_id], key_id, plaintext, self._scope(context))

    async def unseal(self, sealed: bytes, context: SealContext) -> bytes:
        """The plaintext. Raises InvalidTag for what was moved, changed, or sealed by a key that is gone."""
        key_id, nonce, ciphertext = _split(sealed)
        cipher = self._ciphers.get((context.namespace, key_id))
        if cipher is None:
            await self._load(context.namespace)
            cipher = self._ciphers.get((context.namespace, key_id))
        if cipher is None:
            raise InvalidTag(f'no data key {key_id} of namespace "{context.namespace}"')
        return cipher.decrypt(nonce, ciphertext, self._scope(context))

    async def _choose(self, namespace: str) -> str:
        """The data key that new documents of the namespace are sealed with; made where there is none."""
        async with self._making:
            if namespace not in self._current:
                ids = await self._load(namespace)
                if not ids:
                    key_id = secrets.token_hex(8)
                    wrapped = self._kek.wrap(secrets.token_bytes(KEY), self._key_scope(namespace, key_id))
                    await self._keys.add_data_key(namespace, key_id, wrapped)
                    ids = await self._load(namespace)
                self._current[namespace] = ids[0]
            return self._current[namespace]

    async def _load(self, namespace: str) -> list[str]:
        """Unwrap the namespace's keys that are not known yet; all ids, the one to seal with first."""
        ids = []
        for key_id, wrapped in await self._keys.data_keys(namespace):
            ids.append(key_id)
            if (namespace, key_id) not in self._ciphers:
                key = self._kek.unwrap(wrapped, self._key_scope(namespace, key_id))
                self._ciphers[namespace, key_id] = AESGCM(key)
        return ids

    def _scope(self, context: SealContext) -> bytes:
        resource = f"{context.group}/{context.resource}"
        return _joined("document", self._cluster, resource, context.namespace, context.name, context.uid)

    def _key_scope(self, namespace: str, key_id: str) -> bytes:
        return _joined("data key", self._cluster, namespace, key_id)


def _joined(*parts: str) -> bytes:
    """Parts with their lengths, so that no two different lists give the same bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _encrypt(cipher: AESGCM, key_id: str, plaintext: bytes, scope: bytes) -> bytes:
    name = key_id.encode("ascii")
    nonce = os.urandom(NONCE)
    return bytes((VERSION, len(name))) + name + nonce + cipher.encrypt(nonce, plaintext, scope)


def _split(sealed: bytes) -> tuple[str, bytes, bytes]:
    if len(sealed) < 2 or sealed[0] != VERSION or len(sealed) < 2 + sealed[1] + NONCE:
        raise InvalidTag("not a sealed document of a known version")
    end = 2 + sealed[1]
    return sealed[2:end].decode("ascii", "replace"), sealed[end : end + NONCE], sealed[end + NONCE :]
