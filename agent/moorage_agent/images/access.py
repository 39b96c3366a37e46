"""Which pods may use an image that is here already: one that was fetched with credentials is for those who have them.

Source: KEP-2535. An image that the agent did not fetch, or fetched as anybody could, is for all. Kept in ``file`` across
restarts, and of credentials no more than a salted hash.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import orjson

from moorage_agent.engine.contract import Credentials

log = logging.getLogger(__name__)


class Access:
    """By image id, as a name may come to mean another image."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._salt = secrets.token_bytes(16)
        self._holders: dict[str, set[str]] = {}
        if file is not None and file.exists():
            self._load(file)

    def may(self, image: str, given: Sequence[Credentials]) -> bool:
        """Whether a pod with these credentials may use the image without asking its registry."""
        holders = self._holders.get(image)
        return holders is None or any(self._hash(one) in holders for one in given)

    def fetched(self, image: str, used: Credentials | None) -> None:
        """The registry gave the image for these credentials; None for what any pod of this node could have."""
        before = self._holders.get(image)
        if used is None:
            if before is None:
                return
            del self._holders[image]
        else:
            holder = self._hash(used)
            if before is not None and holder in before:
                return
            self._holders.setdefault(image, set()).add(holder)
        self._save()

    def _hash(self, one: Credentials) -> str:
        text = "\0".join((one.username, one.password)).encode("utf-8", "surrogatepass")
        return hmac.new(self._salt, text, hashlib.sha256).hexdigest()

    def _load(self, file: Path) -> None:
        try:
            document = orjson.loads(file.read_bytes())
            self._salt = bytes.fromhex(document["salt"])
            self._holders = {str(image): set(map(str, found)) for image, found in document["images"].items()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            log.warning("%s is broken, so images fetched with credentials are open to all pods: %s", file, error)

    def _save(self) -> None:
        if self._file is None:
            return
        images = {image: sorted(found) for image, found in self._holders.items()}
        temporary = self._file.with_suffix(".new")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(orjson.dumps({"salt": self._salt.hex(), "images": images}))
            temporary.replace(self._file)
        except OSError as error:  # a full disk must not keep pods from starting
            log.warning("%s: %s", self._file, error)
