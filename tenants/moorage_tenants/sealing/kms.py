"""A key management service (KMS) as the keeper of the key-encryption key: our contract, and its client over a unix socket.

The service encrypts one short key, which is kept among the data keys; everything else is encrypted by that key, here. So the
service is asked when a server starts and when keys are rotated, and an outage in between stops nothing.
The messages are those of Kubernetes' KMS v2 (KEP-3299) in JSON over HTTP, so that a plug-in is a few lines in any language.
See docs/decisions/a-kms-plugin-speaks-json.md.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import orjson

from moorage.store.contracts import KeyStore
from moorage_tenants.sealing.frames import KEY
from moorage_tenants.sealing.kek import BadKek, Kek, kek_id

log = logging.getLogger(__name__)

KEPT = "@kek"
"""Where the encrypted key-encryption keys are kept among the data keys: no namespace can have this name."""
VERSION = "v1"
ATTEMPTS = 4
ATTEMPT_SECONDS = 5.0
FIRST_PAUSE = 0.2
LONGEST_ANSWER = 64 * 1024


class KmsError(BadKek):
    """The service cannot be reached or refuses; the text names the socket and the call, and shows no key."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What the service made of a key. ``annotations`` are the service's own and are given back to it."""

    key_id: str
    ciphertext: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)


class Kms(Protocol):
    """What a key management service does for us. Methods raise KmsError."""

    async def status(self) -> str:
        """The id of the key that it encrypts with now; another id than before means that it has rotated its key."""
        ...

    async def encrypt(self, plaintext: bytes) -> Wrapped:
        """``plaintext`` (a few dozen bytes), encrypted."""
        ...

    async def decrypt(self, wrapped: Wrapped) -> bytes:
        """What ``encrypt`` was given."""
        ...


class SocketKms:
    """``Kms`` over HTTP on a unix socket: POST /v1/status, /v1/encrypt, /v1/decrypt with JSON bodies.

    A call takes at most ``ATTEMPTS`` times ``seconds``; it is repeated where the service does not answer or says 5xx.
    """

    def __init__(self, path: Path, *, seconds: float = ATTEMPT_SECONDS, first_pause: float = FIRST_PAUSE) -> None:
        self._path = path
        self._seconds = seconds
        self._first_pause = first_pause

    async def status(self) -> str:
        """The id of its current key. Raises KmsError also where it says that it is not well."""
        answer = await self._call("status", {})
        if answer.get("version") != VERSION:
            raise KmsError(f"the KMS at {self._path} speaks version {answer.get('version')!r}, not {VERSION!r}")
        if answer.get("healthz") != "ok":
            raise KmsError(f"the KMS at {self._path} is not well: {answer.get('healthz') or 'it does not say why'}")
        return self._text(answer, "status", "keyId")

    async def encrypt(self, plaintext: bytes) -> Wrapped:
        """``plaintext``, encrypted."""
        answer = await self._call("encrypt", {"plaintext": base64.b64encode(plaintext).decode()})
        annotations = answer.get("annotations") or {}
        return Wrapped(
            self._text(answer, "encrypt", "keyId"), self._bytes(answer, "encrypt", "ciphertext"), dict(annotations)
        )

    async def decrypt(self, wrapped: Wrapped) -> bytes:
        """What was encrypted."""
        answer = await self._call(
            "decrypt",
            {
                "keyId": wrapped.key_id,
                "ciphertext": base64.b64encode(wrapped.ciphertext).decode(),
                "annotations": dict(wrapped.annotations),
            },
        )
        return self._bytes(answer, "decrypt", "plaintext")

    async def _call(self, method: str, message: Mapping[str, Any]) -> dict[str, Any]:
        body = {"uid": secrets.token_hex(8), **message}
        pause = self._first_pause
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._once(method, body)
            except (OSError, TimeoutError, aiohttp.ClientError) as error:
                reason = f"the KMS at {self._path} does not answer {method}: {str(error) or type(error).__name__}"
            if attempt < ATTEMPTS:
                log.warning("%s; trying again", reason)
                await asyncio.sleep(pause)
                pause *= 2
        raise KmsError(f"{reason} (tried {ATTEMPTS} times)")

    async def _once(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=self._seconds)
        connector = aiohttp.UnixConnector(str(self._path))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(f"http://kms/{VERSION}/{method}", data=orjson.dumps(body)) as answer,
        ):
            content = await _read(answer)
            if answer.status >= 500:
                raise aiohttp.ClientError(f"{answer.status} {_reason(content)}")
            if answer.status >= 300:
                raise KmsError(f"the KMS at {self._path} refuses {method}: {answer.status} {_reason(content)}")
        try:
            decoded = orjson.loads(content)
        except orjson.JSONDecodeError:
            decoded = None
        if not isinstance(decoded, dict):
            raise KmsError(f"the KMS at {self._path} answers {method} with something that is no JSON object")
        return decoded

    def _text(self, answer: Mapping[str, Any], method: str, name: str) -> str:
        value = answer.get(name)
        if not isinstance(value, str) or not value:
            raise KmsError(f"the KMS at {self._path} answers {method} without {name}")
        return value

    def _bytes(self, answer: Mapping[str, Any], method: str, name: str) -> bytes:
        try:
            return base64.b64decode(self._text(answer, method, name), validate=True)
        except binascii.Error:
            raise KmsError(f"the KMS at {self._path} answers {method} with a {name} that is no base64") from None


class KmsKek:
    """A ``KekSource``: keys that the service encrypted, kept in the database, the newest first."""

    def __init__(self, kms: Kms) -> None:
        self.kms = kms
        self._keys: dict[str, bytes] = {}
        self._kek: Kek | None = None
        self._loading = asyncio.Lock()

    async def current(self, store: KeyStore, cluster: str, *, fresh: bool = False) -> Kek:
        """The keys; the first one is made where there is none. Raises KmsError, Unavailable."""
        if self._kek is not None and not fresh:
            return self._kek
        async with self._loading:
            rows = await store.data_keys(KEPT)
            if not rows:
                await self.add(store, 1)
                rows = await store.data_keys(KEPT)
            for name, kept in rows:
                if name not in self._keys:
                    self._keys[name] = await self._opened(name, kept)
            self._kek = Kek([self._keys[name] for name, _ in rows])
            return self._kek

    async def add(self, store: KeyStore, generation: int) -> str:
        """Make a new key-encryption key, encrypted by the service's current key; its id."""
        key = secrets.token_bytes(KEY)
        wrapped = await self.kms.encrypt(key)
        kept = {
            "keyId": wrapped.key_id,
            "ciphertext": base64.b64encode(wrapped.ciphertext).decode(),
            "annotations": dict(wrapped.annotations),
        }
        await store.add_data_key(KEPT, kek_id(key), orjson.dumps(kept), generation=generation)
        return kek_id(key)

    async def _opened(self, name: str, kept: bytes) -> bytes:
        found = orjson.loads(kept)
        wrapped = Wrapped(found["keyId"], base64.b64decode(found["ciphertext"]), found["annotations"])
        key = await self.kms.decrypt(wrapped)
        if len(key) != KEY or kek_id(key) != name:
            raise KmsError(f"the KMS gave another key than the one it encrypted as {name}")
        return key


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > LONGEST_ANSWER:
            raise KmsError(f"the KMS answers with more than {LONGEST_ANSWER} bytes")
    return content


def _reason(content: bytes) -> str:
    """The service's own words, kept short."""
    try:
        decoded = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ""
    text = decoded.get("error") if isinstance(decoded, dict) else ""
    return str(text)[:200].replace("\n", " ") if text else ""
