"""A node's own credential: a join token is exchanged for it once; it is kept beside the node's state and renewed in time.

The node makes the secret itself and sends its hash only, so an answer that is lost costs nothing: it asks again with the same.
What is sent is on the disk before: a node that loses its power in between still holds what the server knows.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson

from moorage.client import ApiClient
from moorage.client.errors import ApiError, Unreachable

log = logging.getLogger(__name__)

PATH = "/apis/moorage.io/v1/nodecredentials"
FILE = "credential"
NEXT = "credential.next"
FIRST, LAST = 0.5, 10.0
"""Seconds between two tries of a node that joins, while the server does not answer."""
LAST_RENEWAL = 300.0
"""The most seconds between two tries of a node that renews: its credential is good for days yet."""
RENEWED_FROM, RENEWED_BY = 0.5, 0.6
"""The part of a credential's life after which it is renewed: two fifths of it are left for what may go wrong."""

Exchange = Callable[[str, str], Awaitable[float]]
"""Exchanges a token for the credential with a hash; the seconds that the new one lives. Raises ApiError, Unreachable."""


class Credential:
    """The credential of one node. ``given`` reads the join token, "" where there is none."""

    def __init__(
        self,
        data_dir: Path,
        given: Callable[[], str],
        exchange: Exchange,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._data = data_dir
        self._given = given
        self._exchange = exchange
        self._clock = clock
        self._sleep = sleep
        self._renew_at = 0.0

    @property
    def file(self) -> Path:
        """Where it is, once the node has one."""
        return self._data / FILE

    async def obtain(self) -> Path | None:
        """The file of this node's own credential, or None where the given token is to be used as it is (one of the
        installation's own). Raises ApiError where the join token is not good any more and the node has no credential.
        """
        held, given = _text(self.file), self._given()
        if held:
            try:
                if await self._taken(held):
                    return self.file
            except (ApiError, Unreachable) as error:
                if not isinstance(error, Unreachable) and not _passes(error):
                    raise
                log.warning("the node's credential was not renewed at the start: %s", error)
                return self.file
        delay = FIRST
        while given and given != held:
            try:
                return self.file if await self._taken(given, last=True) else None
            except (ApiError, Unreachable) as error:
                if isinstance(error, ApiError) and not _passes(error):
                    raise
                log.warning("the node's credential cannot be had yet: %s; again in %.1f s", error, delay)
            await self._sleep(delay)
            delay = min(delay * 2, LAST)
        return None

    async def keep(self) -> None:
        """Renew the credential in time, until cancelled; a node that has none of its own is done at once."""
        delay = FIRST
        while self.file.exists():
            wait = self._renew_at - self._clock()
            if wait > 0:
                await self._sleep(wait)
            try:
                renewed = await self._taken(_text(self.file)) or await self._joined_again()
            except (ApiError, Unreachable) as error:
                renewed = False
                log.warning("the node's credential was not renewed: %s", error)
            delay = FIRST if renewed else min(delay * 2, LAST_RENEWAL)
            if not renewed:
                await self._sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret

    async def _joined_again(self) -> bool:
        """The credential is refused: an administrator may have put a new join token where the old one was."""
        given = self._given()
        if given and given != _text(self.file) and await self._taken(given):
            return True
        log.error(
            "the API refuses this node's credential (revoked, or expired): make a join token with "
            "`moorage tokens create --node NAME` and put it into the token file"
        )
        return False

    async def _taken(self, old: str, *, last: bool = False) -> bool:
        """Whether ``old`` was exchanged; False where it is refused (ApiError for the ``last`` one), or is none to exchange."""
        try:
            life = await self._exchanged(old)
        except ApiError as error:
            if error.code == 404 or (error.code == 401 and not last):
                return False
            raise
        (self._data / NEXT).replace(self.file)
        _sync(self._data)
        self._renew_at = self._clock() + life * random.uniform(RENEWED_FROM, RENEWED_BY)  # noqa: S311 - jitter
        return True

    async def _exchanged(self, old: str) -> float:
        try:
            return await self._exchange(old, _hash(_next(self._data)))
        except ApiError as error:
            if error.code != 409:
                raise
        # The secret at hand was exchanged for another token once: it is of no use any more.
        (self._data / NEXT).unlink()
        return await self._exchange(old, _hash(_next(self._data)))


def over_the_api(server: str, ca_pem: str) -> Exchange:
    """Exchanges with the API at ``server``."""

    async def exchange(old: str, sha256: str) -> float:
        body = orjson.dumps({"spec": {"sha256": sha256}})
        async with ApiClient(server, token=old, ca_pem=ca_pem) as client:
            answer = await client.request("POST", PATH, body=body, headers={"Content-Type": "application/json"})
        return float(orjson.loads(answer.body)["status"]["lifetimeSeconds"])

    return exchange


def given_by(token_file: Path | None, token: str) -> Callable[[], str]:
    """Reads the join token: from a file, which may change, or as it was given."""
    return lambda: _text(token_file) or token


def _passes(error: ApiError) -> bool:
    """Whether trying again may help."""
    return error.code >= 500 or error.code == 429


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _text(file: Path | None) -> str:
    return file.read_text("ascii").strip() if file is not None and file.exists() else ""


def _next(data_dir: Path) -> str:
    """The secret that is being exchanged; a start that was cut short goes on with the same one."""
    file = data_dir / NEXT
    if not _text(file):
        file.unlink(missing_ok=True)
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write("mn_" + secrets.token_urlsafe(32))
            out.flush()
            os.fsync(out.fileno())
        _sync(data_dir)
    return file.read_text("ascii")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
