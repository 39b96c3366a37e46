"""Key-encryption keys (KEKs): what wraps the data keys, and the contract of the places where they are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moorage.store.contracts import KeyStore
from moorage_tenants.sealing.frames import KEY, encrypt, split


class BadKek(ValueError):
    """The key-encryption key cannot be used; the text says where it came from and what it must look like."""


class Kek:
    """Key-encryption keys: the first wraps unless another is asked for, all unwrap (so that a new one can be put in front
    of an old one).
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY for key in keys):
            raise BadKek(f"a key-encryption key has {KEY} bytes")
        self._ciphers = {kek_id(key): AESGCM(key) for key in keys}
        self.first = next(iter(self._ciphers))
        """The id of the key that the operator put first."""

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

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the first one first. An id tells nothing of its key."""
        return tuple(self._ciphers)

    async def current(self, _store: KeyStore, _cluster: str, *, fresh: bool = False) -> Kek:
        """These keys: a Kek is a ``KekSource`` that never changes."""
        return self

    def wrap(self, key: bytes, scope: bytes, with_id: str = "") -> bytes:
        """A data key, encrypted for ``scope`` by the first key or the one named. Raises KeyError for one not here."""
        used = with_id or self.first
        return encrypt(self._ciphers[used], used, key, scope)

    def unwrap(self, wrapped: bytes, scope: bytes) -> bytes:
        """The data key. Raises UnknownKek where none of these wrapped it, InvalidTag where it is of another scope."""
        used, nonce, ciphertext = split(wrapped)
        cipher = self._ciphers.get(used)
        if cipher is None:
            raise UnknownKek(used)
        return cipher.decrypt(nonce, ciphertext, scope)


class UnknownKek(InvalidTag):
    """A data key is wrapped by a key-encryption key that this server does not have."""

    def __init__(self, used: str) -> None:
        super().__init__(
            f"the data key is wrapped by the key-encryption key {used}, which is not configured; "
            "put that key back among those that the server is given"
        )
        self.used = used


class KekSource(Protocol):
    """Where the key-encryption keys come from."""

    async def current(self, store: KeyStore, cluster: str, *, fresh: bool = False) -> Kek:
        """The keys; ``fresh``: look again at where they are kept. Raises BadKek."""
        ...


class FileKek:
    """Keys in a file, read again when it has changed: a rotation puts a new one in front while servers run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kek = Kek.load(path)
        self._seen = self._stamp()

    async def current(self, store: KeyStore, cluster: str, *, fresh: bool = False) -> Kek:
        """The keys of the file; those known before where it cannot be read just now."""
        if fresh and (stamp := self._stamp()) != self._seen:
            self._kek, self._seen = Kek.load(self._path), stamp
        return self._kek

    def _stamp(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return self._seen
        return found.st_mtime_ns, found.st_size, found.st_ino


def kek_id(key: bytes) -> str:
    """What a key is called in frames and messages."""
    return hashlib.sha256(b"moorage kek id" + key).hexdigest()[:16]


def new_kek() -> str:
    """A fresh key-encryption key as the text of its file."""
    return secrets.token_hex(KEY) + "\n"
