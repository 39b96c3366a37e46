"""The priority levels of one server, kept as the store's FlowSchemas and PriorityLevelConfigurations say."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moorage.api.contracts import Identity
from moorage.api.errors import ApiError
from moorage.api.fairness.classify import Asked, Schema, compiled
from moorage.api.fairness.contracts import FlowOwners, Ticket
from moorage.api.fairness.queues import Level, QueueFull, WaitedTooLong
from moorage.resources.flowcontrol import CATCH_ALL, DEFAULT_SHARES, EXEMPT, GROUP
from moorage.resources.kind import ResourceKey
from moorage.store.contracts import Cache, Expired, Store, TooSlow

log = logging.getLogger(__name__)

SCHEMAS = ResourceKey(GROUP, "flowschemas")
LEVELS = ResourceKey(GROUP, "prioritylevelconfigurations")
SEATS = 400
"""Requests that run at once on one server, shared between the levels by their shares."""
PATIENCE = 15.0
"""Seconds that a request may wait, as in Kubernetes (a quarter of its time)."""
REMEMBERED = 20_000
"""Classifications that are kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request runs. ``level`` None: at once. ``headers`` tell the client (as kube-apiserver does)."""

    level: Level | None
    flow: str
    headers: tuple[tuple[bytes, bytes], ...]


class _Free:
    """The ticket of what never waits."""

    def leave(self) -> None:
        """Nothing was held."""


FREE = _Free()


class FlowControl:
    """Sorts requests and hands out tickets. Before ``follow`` has read the configuration, everything runs at once."""

    def __init__(self, owners: FlowOwners) -> None:
        self._owners = owners
        self._generation = owners.generation
        self._schemas: tuple[Schema, ...] = ()
        self._levels: dict[str, Level] = {}
        self._uids: dict[str, str] = {}
        self._places: OrderedDict[tuple[str, frozenset[str], Asked], Place] = OrderedDict()

    def place(self, identity: Identity, asked: Asked) -> Place:
        """Where this request runs. Costs one lookup for what was asked before."""
        if self._generation != self._owners.generation:
            self._generation = self._owners.generation
            self._places.clear()
        key = (identity.name, identity.groups, asked)
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = self._classify(identity, asked)
            if len(self._places) > REMEMBERED:
                self._places.popitem(last=False)
        return found

    async def enter(self, place: Place, seats: int = 1) -> Ticket:
        """The right to run, at once or when it is this flow's turn. Raises ApiError 429."""
        level = place.level
        if level is None:
            return FREE
        ticket = level.try_enter(place.flow, seats, asyncio.get_running_loop().time())
        if ticket is not None:
            return ticket
        try:
            return await level.wait(place.flow, seats)
        except QueueFull:
            raise _too_many("too many requests of yours are waiting already") from None
        except WaitedTooLong:
            raise _too_many(f"the request waited for {level.patience:g} seconds") from None

    async def follow(self, store: Store, changed: Callable[[], Awaitable[None]]) -> None:
        """Keep the levels as the store says, until cancelled; ``changed`` is awaited after each reading."""
        schemas, levels = await store.cache(SCHEMAS), await store.cache(LEVELS)
        news = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for cache in (schemas, levels):
                tasks.create_task(_watch(cache, news), name="fairness: watch")
            while True:
                news.clear()
                self.load(schemas, levels)
                await changed()
                await news.wait()

    def load(self, schemas: Cache, levels: Cache) -> None:
        """Read the whole configuration. Requests under way keep the level that they are in."""
        found = {entry.key.name: entry for entry in levels.entries()}
        limited = {name: entry.document().get("spec") or {} for name, entry in found.items()}
        limited = {name: spec["limited"] for name, spec in limited.items() if spec.get("limited")}
        total = sum(part.get("nominalConcurrencyShares", DEFAULT_SHARES) for part in limited.values())
        self._uids = {name: entry.uid for name, entry in found.items()}
        self._levels = {name: self._level(name, part, total) for name, part in limited.items()}
        self._schemas = tuple(
            sorted(
                (compiled(entry.document()) for entry in schemas.entries()),
                key=lambda schema: (schema.precedence, schema.name),
            )
        )
        self._places.clear()

    def lines(self) -> Iterator[str]:
        """What ``/metrics`` shows."""
        for name, unit in (("running", "gauge"), ("waiting", "gauge"), ("refused", "counter")):
            metric = f"moorage_flow_requests_{name}" + ("_total" if unit == "counter" else "")
            yield f"# HELP {metric} Requests {name}, by priority level."
            yield f"# TYPE {metric} {unit}"
            for level in self._levels.values():
                yield f'{metric}{{priority_level="{level.name}"}} {getattr(level, name)}'

    def _level(self, name: str, limited: Mapping[str, Any], total: int) -> Level:
        shares = limited.get("nominalConcurrencyShares", DEFAULT_SHARES)
        seats = max(1, -(-SEATS * shares // max(total, 1))) if shares else 0
        response = limited.get("limitResponse") or {}
        length = (response.get("queuing") or {}).get("queueLengthLimit", 0) if response.get("type") == "Queue" else 0
        level = self._levels.get(name)
        if level is None:
            return Level(name, seats, length, PATIENCE)
        level.seats, level.queue_length = seats, length
        return level

    def _classify(self, identity: Identity, asked: Asked) -> Place:
        for schema in self._schemas:
            if schema.matches(identity, asked):
                return self._in(schema, identity, asked)
        return Place(self._levels.get(CATCH_ALL), identity.name, ())

    def _in(self, schema: Schema, identity: Identity, asked: Asked) -> Place:
        headers = (
            (b"x-kubernetes-pf-flowschema-uid", schema.uid.encode()),
            (b"x-kubernetes-pf-prioritylevel-uid", self._uids.get(schema.level, "").encode()),
        )
        if schema.level == EXEMPT or (schema.level in self._uids and schema.level not in self._levels):
            return Place(None, "", headers)
        owner = self._owners.flow_of(identity, asked.namespace)
        flow = f"tenant/{owner}" if owner else f"{schema.name}/{schema.flow(identity, asked)}"
        return Place(self._levels.get(schema.level) or self._levels.get(CATCH_ALL), flow, headers)


async def _watch(cache: Cache, news: asyncio.Event) -> None:
    while True:
        subscription = cache.subscribe(cache.revision)
        try:
            async for _changes in subscription:
                news.set()
        except (TooSlow, Expired) as error:
            log.warning("the flow schemas are read anew: %s", str(error) or type(error).__name__)
        finally:
            subscription.close()
        news.set()


def _too_many(why: str) -> ApiError:
    message = f"too many requests, please try again later: {why}"
    return ApiError(429, message, details={"retryAfterSeconds": 1}, headers={"Retry-After": "1"})
