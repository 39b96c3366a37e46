"""Keeps the kernel's table as the parts say: collects changes, loads the difference, loads the whole where that fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Hashable
from concurrent.futures import Executor

from moorage_agent.network import flows as flow
from moorage_agent.network.flows import Flows
from moorage_agent.network.nft.batch import Batch
from moorage_agent.network.nft.kernel import Kernel, NftError
from moorage_agent.network.rules import ruleset
from moorage_agent.network.rules.ruleset import Ruleset

log = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""How often it is looked whether somebody changed the table."""
RETRY_SECONDS = 2.0
GATHER_SECONDS = 0.02
"""Changes that come together (a deployment's pods) are loaded together."""


class Loader:
    """``parts`` are merged; each is replaced as a whole by ``put``."""

    def __init__(self, table: str, executor: Executor, flows: Flows | None = None) -> None:
        """``flows`` are looked at after each load: a kernel that remembers would go on by the old rules."""
        self._flows = flows or Flows()
        self._table = table
        self._executor = executor
        self._parts: dict[Hashable, Ruleset] = {}
        self._wake = asyncio.Event()
        self._loaded: Ruleset | None = None
        self._kernel: Kernel | None = None
        self.seconds = 0.0
        """What the last load took, computing included."""
        self.loads = 0
        self._counted = -1
        """The kernel's generation when all that was loaded was found there."""
        self._told = False
        """Whether the log says that flows cannot be forgotten here."""
        self._puts = 0
        self._loading = False
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        """Who waits for a load, each with the number of puts that must be in it."""
        self.ready = asyncio.Event()
        """Set once the first load is done."""

    def put(self, key: Hashable, part: Ruleset | None) -> None:
        """Replace or remove one part."""
        if part is None:
            self._parts.pop(key, None)
        else:
            self._parts[key] = part
        self._puts += 1
        self._wake.set()

    async def settled(self) -> None:
        """Return when everything that was put so far is loaded."""
        if self._wake.is_set() or self._loading:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append((self._puts, waiting))
            await waiting

    async def run(self) -> None:
        """Load what changes, until cancelled. The table stays: pods go on without an agent."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    async with asyncio.timeout(CHECK_SECONDS):
                        await self._wake.wait()
                    await asyncio.sleep(GATHER_SECONDS)
                except TimeoutError:
                    if await loop.run_in_executor(self._executor, self._is_intact):
                        continue
                    log.warning("somebody changed the table %s; loading it again", self._table)
                    self._loaded = None
                self._wake.clear()
                self._loading, included = True, self._puts
                try:
                    await self._load()
                    self._release(included)
                except OSError as error:
                    log.error("rules could not be loaded: %s; again in %.0f s", error, RETRY_SECONDS)
                    self._loaded = None
                    await asyncio.sleep(RETRY_SECONDS)
                    self._wake.set()
                finally:
                    self._loading = False
        finally:
            if self._kernel is not None:
                self._kernel.close()

    def _release(self, included: int) -> None:
        for needed, waiting in self._waiting:
            if needed <= included and not waiting.done():
                waiting.set_result(None)
        self._waiting = [(needed, each) for needed, each in self._waiting if needed > included]

    async def _load(self) -> None:
        started = time.monotonic()
        new = ruleset.merged(self._parts.values())
        loop = asyncio.get_running_loop()
        if self._loaded is not None:
            try:
                batch = ruleset.difference(self._table, self._loaded, new)
                await loop.run_in_executor(self._executor, self._send, batch)
            except NftError as error:
                log.warning("rules do not fit what is loaded (%s); loading all of them", error)
                self._loaded = None
        if self._loaded is None:
            await loop.run_in_executor(self._executor, self._send, ruleset.whole(self._table, new))
        self._loaded = new
        await self._forget()
        self.seconds = time.monotonic() - started
        self.loads += 1
        self.ready.set()

    async def _forget(self) -> None:
        targets = self._flows.take()
        if targets is None:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, flow.clean, targets)
        except OSError as error:
            self._flows.again()
            log.log(
                logging.DEBUG if self._told else logging.WARNING, "UDP flows may go on to pods that are gone: %s", error
            )
            self._told = True

    def _send(self, batch: Batch) -> None:
        self._open().load(batch)

    def _is_intact(self) -> bool:
        """Whether the kernel still has what was loaded. What was counted once is not counted again before anything changes."""
        kernel = self._open()
        now = kernel.generation()
        if now == self._counted or self._loaded is None:
            return True
        wanted = ruleset.size(self._loaded)
        if kernel.rules(self._table) != wanted.rules:
            return False
        if any(kernel.elements(self._table, name) != number for name, number in wanted.elements.items()):
            return False
        self._counted = now
        return True

    def _open(self) -> Kernel:
        if self._kernel is None:
            self._kernel = Kernel()
        return self._kernel
