"""Follows the configuration file: what was written to it is in force a little later; what is wrong in it changes nothing."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from moorage_tenants.authentication import configuration
from moorage_tenants.authentication.chain import Authentication
from moorage_tenants.authentication.oidc.issuers import Issuers
from moorage_tenants.configuration_fields import BadConfiguration

log = logging.getLogger(__name__)

SECONDS = 5.0


class Reloading:
    """Looks at the file every few seconds."""

    def __init__(self, path: Path, issuers: Issuers, authentication: Authentication) -> None:
        self._path = path
        self._issuers = issuers
        self._authentication = authentication
        self._stamp = _stamp(path)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            await self.look()

    async def look(self) -> bool:
        """Take over a file that has changed; whether it was."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            config = await asyncio.to_thread(configuration.read, self._path)
        except BadConfiguration as error:
            log.error("the changed configuration is not used; what was in force stays so: %s", error)
            return False
        self._issuers.configure(config.issuers)
        self._authentication.configure(anonymous=config.anonymous)
        log.info("%s was read again: %d issuers", self._path, len(config.issuers))
        return True


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_ino, found.st_size)
