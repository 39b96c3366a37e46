"""One of several processes leads: an election by a ``Lease``.

Source: client-go's ``leaderelection``. A candidate takes a Lease whose holder has not renewed it for its duration, counted
from when this candidate saw the last change on its own clock, so that clocks need not agree. A leader that cannot renew
within ``renew_deadline`` stops before others may take over, because ``renew_deadline`` is shorter than the duration.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.errors import AlreadyExists, ClientError, Conflict, NotFound
from moorage.client.objects import Document, micro_timestamp
from moorage.client.resource import LEASES

log = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """We led, and could not renew in time. The work was cancelled; end the process or stand for election again."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. client-go's defaults."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry > 0:
            raise ValueError("a lease needs duration > renew_deadline > retry > 0")


class LeaderElector:
    """A candidate named ``identity`` for the Lease ``namespace/name``. ``clock`` is the wall clock for the Lease's timestamps."""

    def __init__(
        self,
        client: ApiClient,
        name: str,
        identity: str,
        *,
        namespace: str = "kube-system",
        timing: Timing | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._timing = timing or Timing()
        self._clock = clock
        self._seen: tuple[Any, ...] = ()
        self._seen_at = 0.0
        self._lease: Document | None = None
        self.leading = False
        self._decided = asyncio.Event()

    async def wait_decided(self) -> None:
        """Return when it is known who leads: we, or another one."""
        await self._decided.wait()

    @property
    def leader(self) -> str:
        """Who holds the Lease, as far as we have seen; "" for nobody."""
        return str(self._lease["spec"].get("holderIdentity") or "") if self._lease else ""

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait until elected, then run ``lead`` for as long as we lead. Returns when ``lead`` does, having released the Lease.

        Raises LeadershipLost, and whatever ``lead`` raises.
        """
        await self._acquire()
        self.leading = True
        log.info("elected leader of %s/%s as %s", self._namespace, self._name, self._identity)
        work = asyncio.ensure_future(lead())
        renewal = asyncio.create_task(self._renew(), name=f"lease {self._name}")
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                log.error("lost the lead of %s/%s; stopping", self._namespace, self._name)
                raise LeadershipLost(f"could not renew {self._namespace}/{self._name} in time")
            work.result()
        finally:
            held = not renewal.done()
            self.leading = False
            for task in (work, renewal):
                task.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            if held:
                await self._release()

    async def _acquire(self) -> None:
        while True:
            if await self._try():
                return
            await asyncio.sleep(self._timing.retry)

    async def _renew(self) -> None:
        """Return when the Lease could not be renewed in time, or somebody else has it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timing.renew_deadline
        while True:
            await asyncio.sleep(min(self._timing.retry, max(deadline - loop.time(), 0)))
            try:
                async with asyncio.timeout_at(deadline):
                    renewed = await self._try()
            except TimeoutError:
                return
            if renewed:
                deadline = loop.time() + self._timing.renew_deadline
            elif self.leader != self._identity or loop.time() >= deadline:
                return

    async def _try(self) -> bool:
        """Take or renew the Lease once; whether it is ours now."""
        try:
            return await self._take()
        except (Conflict, AlreadyExists):
            return False
        except ClientError as error:
            log.warning("lease %s/%s: %s", self._namespace, self._name, error)
            return False

    async def _take(self) -> bool:
        now = asyncio.get_running_loop().time()
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound:
            document = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": self._spec({}),
            }
            self._remember(await self._client.create(LEASES, document), now)
            return True
        spec = lease.get("spec") or {}
        record = tuple(spec.get(field) for field in ("holderIdentity", "renewTime", "acquireTime", "leaseTransitions"))
        if record != self._seen:
            self._remember(lease, now)
        holder = spec.get("holderIdentity")
        duration = float(spec.get("leaseDurationSeconds") or 0)
        if holder and holder != self._identity and now < self._seen_at + duration:
            return False
        changed = {**lease, "spec": self._spec(spec)}
        self._remember(await self._client.update(LEASES, changed), now)
        return True

    def _remember(self, lease: Document, now: float) -> None:
        spec = lease.get("spec") or {}
        self._lease = {**lease, "spec": spec}
        self._seen = tuple(
            spec.get(field) for field in ("holderIdentity", "renewTime", "acquireTime", "leaseTransitions")
        )
        self._seen_at = now
        if spec.get("holderIdentity"):
            self._decided.set()

    def _spec(self, old: Document) -> Document:
        now = micro_timestamp(self._clock())
        ours = old.get("holderIdentity") == self._identity
        transitions = int(old.get("leaseTransitions") or 0)
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._timing.duration),
            "acquireTime": (old.get("acquireTime") if ours else None) or now,
            "renewTime": now,
            "leaseTransitions": transitions if ours or not old else transitions + 1,
        }

    async def _release(self) -> None:
        """Give the Lease back so that the next leader need not wait it out. A failure costs only that wait."""
        with contextlib.suppress(ClientError, TimeoutError):
            async with asyncio.timeout(3.0):
                lease = await self._client.get(LEASES, self._name, self._namespace)
                if lease["spec"].get("holderIdentity") == self._identity:
                    now = micro_timestamp(self._clock())
                    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now}
                    await self._client.update(LEASES, {**lease, "spec": spec})
