"""Runs the pods of the folder: one worker for each, another once a changed one has ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Executor
from copy import deepcopy
from typing import Any, Protocol

from moorage_agent.static.folder import Folder, Key
from moorage_agent.static.manifests import Manifest
from moorage_agent.static.mirrors import Mirrors
from moorage_agent.waiting import happened

log = logging.getLogger(__name__)

Document = Mapping[str, Any]

LOOK = 1.0
"""Seconds between looks at the folder."""


class Worker(Protocol):
    """A static pod as its worker knows it."""

    pod: Document
    digest: str

    @property
    def uid(self) -> str:
        """The static pod's uid."""
        ...

    def end(self) -> None:
        """End it, with its own grace period."""
        ...

    def reflect(self, mirror: Document | None) -> None:
        """The pod that shows it in the API."""
        ...


class StaticPods:
    """``begin`` starts a worker for (pod, digest) and returns False where one of this uid is still there; ``workers`` are those
    of static pods.
    """

    def __init__(
        self,
        folder: Folder | None,
        files: Executor,
        workers: Callable[[], Iterable[Worker]],
        begin: Callable[[dict[str, Any], str], bool],
    ) -> None:
        self._folder = folder
        self._files = files
        self._workers = workers
        self._begin = begin
        self._wanted: Mapping[Key, Manifest] = {}
        self._wake = asyncio.Event()
        self._complained = ""
        self.mirrors: Mirrors | None = None
        self.known = asyncio.Event()
        """Set once the folder was read: what has no worker then, has no file."""

    def wake(self) -> None:
        """A worker has ended."""
        self._wake.set()

    def shown(self, key: Key, mirror: Document | None) -> None:
        """Tell the worker of a static pod which mirror it has."""
        for worker in self._workers():
            if _key(worker.pod) == key:
                worker.reflect(mirror)

    def running(self) -> Mapping[Key, Document]:
        """Static pods that have a worker."""
        return {_key(worker.pod): worker.pod for worker in self._workers()}

    async def run(self, ready: Callable[[], Awaitable[Any]]) -> None:
        """Follow the folder from when ``ready`` has returned until cancelled."""
        if self._folder is None:
            self.known.set()
            return
        await ready()
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._wanted = await loop.run_in_executor(self._files, self._folder.look)
                self._complained = ""
                self._settle()
                self.known.set()
            except OSError as error:
                if str(error) != self._complained:
                    self._complained = str(error)
                    log.warning("the folder of static pods cannot be read; those that run, run on: %s", error)
                self._settle()
            await happened(self._wake, LOOK)
            self._wake.clear()

    def _settle(self) -> None:
        here: dict[Key, list[Worker]] = {}
        for worker in self._workers():
            here.setdefault(_key(worker.pod), []).append(worker)
        for key, workers in here.items():
            manifest = self._wanted.get(key)
            for worker in workers:
                if manifest is None or manifest.digest != worker.digest:
                    worker.end()
        for key, manifest in self._wanted.items():
            if key not in here and self._begin(deepcopy(manifest.pod), manifest.digest):
                log.info("static pod %s/%s begins", *key)
                if self.mirrors is not None:
                    self.mirrors.follow(key)


def _key(pod: Document) -> Key:
    return str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])
