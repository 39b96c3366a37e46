"""A node's own credential: a join token is exchanged for it once; it is kept beside the node's state and renewed at each start.

The node makes the secret itself and sends its hash only, so an answer that is lost costs nothing: it asks again with the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
from pathlib import Path

import orjson

from moorage.client import ApiClient
from moorage.client.errors import ApiError, Unreachable

log = logging.getLogger(__name__)

PATH = "/apis/moorage.io/v1/nodecredentials"
FILE = "credential"
NEXT = "credential.next"
FIRST, LAST = 0.5, 10.0
"""Seconds between two tries while the server does not answer."""


async def credential(server: str, ca_pem: str, token_file: Path | None, token: str, data_dir: Path) -> Path | None:
    """The file of this node's own credential, or None where the given token is to be used as it is (one of the
    installation's own). Raises ApiError where the join token is not good any more and the node has no credential.
    """
    own = data_dir / FILE
    held, given = _text(own if own.exists() else None), _text(token_file) or token
    for old in filter(None, (held, given)):
        if await _exchanged(server, ca_pem, old, data_dir, last=old == given):
            return own
    return None


async def _exchanged(server: str, ca_pem: str, old: str, data_dir: Path, *, last: bool) -> bool:
    secret = _next(data_dir)
    body = orjson.dumps({"spec": {"sha256": hashlib.sha256(secret.encode("ascii")).hexdigest()}})
    delay = FIRST
    async with ApiClient(server, token=old, ca_pem=ca_pem) as client:
        while True:
            try:
                await client.request("POST", PATH, body=body, headers={"Content-Type": "application/json"})
            except ApiError as error:
                if error.code == 404 or (error.code == 401 and not last):
                    return False
                if error.code < 500 and error.code != 429:
                    raise
                log.warning("the node's credential cannot be had yet: %s; again in %.1f s", error, delay)
            except Unreachable as error:
                log.warning("the node's credential cannot be had yet: %s; again in %.1f s", error, delay)
            else:
                (data_dir / NEXT).replace(data_dir / FILE)
                return True
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST)


def _text(file: Path | None) -> str:
    return file.read_text("ascii").strip() if file is not None else ""


def _next(data_dir: Path) -> str:
    """The secret that is being exchanged; a start that was cut short goes on with the same one."""
    file = data_dir / NEXT
    if not file.exists():
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write("mn_" + secrets.token_urlsafe(32))
    return file.read_text("ascii")
