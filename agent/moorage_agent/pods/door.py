"""Lets pods in, one after the other: what is here already stays, what is new must fit beside it.

What goes by the node's labels or taints is only refused once the API has been asked what they are now.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from moorage.client.api import ApiClient
from moorage.client.errors import ClientError
from moorage.client.resource import NODES
from moorage.resources.core.pods.amounts import in_units
from moorage_agent.pods import admission, fitting
from moorage_agent.pods.fitting import Misfit, Other, Own
from moorage_agent.pods.observed import Verdict

log = logging.getLogger(__name__)

AGAIN = 60.0
"""Seconds between two looks at the Node's labels and taints."""
RETRY = 2.0


class Waiting(Exception):
    """It is not known yet; the worker is woken when it is."""


class Pod(Protocol):
    """A pod as its worker knows it."""

    pod: Mapping[str, Any]
    digest: str

    @property
    def uid(self) -> str:
        """The pod's uid."""
        ...

    @property
    def admitted(self) -> bool:
        """Whether it was let in and still has a place here."""
        ...

    def wake(self) -> None:
        """Something changed."""
        ...

    def condemn(self, reason: str, message: str, grace: float) -> None:
        """End it for good."""
        ...


class Door:
    """One node's. ``start`` is what the agent knows of its Node by itself; ``run`` keeps it up to date until cancelled."""

    def __init__(self, client: ApiClient, start: Own, pods: Callable[[], Iterable[Pod]]) -> None:
        self._client = client
        self._own = start
        self._pods = pods
        self._read = 0
        self._asked = asyncio.Event()
        self._waiting: dict[str, tuple[int, Pod]] = {}

    def judge(self, pod: Pod) -> Verdict | None:
        """Why the pod is not let in; None where it is. Raises Waiting."""
        others = [one for one in self._pods() if one.uid != pod.uid and one.admitted]
        static = bool(pod.digest)
        found = fitting.misfit(pod.pod, self._own, [one.pod for one in others], static=static)
        if found is not None and found.of_node and self._unconfirmed(pod):
            raise Waiting
        self._waiting.pop(pod.uid, None)
        if found is not None and fitting.is_critical(pod.pod, static=static) and self._make_room(found, others):
            return None
        return None if found is None else admission.rejected(found.reason, found.message)

    def _unconfirmed(self, pod: Pod) -> bool:
        """Whether the API has not been asked since the pod came; then it is now."""
        since = self._waiting.setdefault(pod.uid, (self._read, pod))[0]
        if self._read > since:
            return False
        self._asked.set()
        return True

    def _make_room(self, found: Misfit, others: Iterable[Pod]) -> bool:
        here = {one.uid: one for one in others}
        each = [Other(one.uid, one.pod, fitting.is_critical(one.pod, static=bool(one.digest))) for one in here.values()]
        chosen = fitting.victims(found.short, each) if found.short else []
        for uid in chosen:
            grace = float(here[uid].pod["spec"].get("terminationGracePeriodSeconds", 30))
            here[uid].condemn(*fitting.PREEMPTING, grace)
        return bool(chosen)

    async def run(self) -> None:
        """Read the Node now and then, and when a pod waits for it."""
        while True:
            try:
                async with asyncio.timeout(RETRY if self._waiting else AGAIN):
                    await self._asked.wait()
            except TimeoutError:
                log.debug("reading the Node again")
            self._asked.clear()
            try:
                self._take(await self._client.get(NODES, self._own.name))
            except ClientError as error:
                log.log(
                    logging.WARNING if self._waiting else logging.INFO, "reading node %s: %s", self._own.name, error
                )
                await asyncio.sleep(RETRY)

    def _take(self, node: Mapping[str, Any]) -> None:
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        self._own = self._own._replace(
            labels=node["metadata"].get("labels") or {},
            taints=(node.get("spec") or {}).get("taints") or (),
            allocatable={**self._own.allocatable, **in_units(allocatable)},
        )
        self._read += 1
        here = {pod.uid for pod in self._pods()}
        for uid, (_, pod) in list(self._waiting.items()):
            if uid in here:
                pod.wake()
            else:
                # It went, or was refused for another reason, while it waited.
                del self._waiting[uid]
