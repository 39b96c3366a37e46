"""``git push -o wait``: says how an application fares until it is healthy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import orjson

from moorage.resources.gitops import APPLICATION
from moorage.resources.kind import Document
from moorage.store.contracts import Cache, EventType, Expired, Store, TooSlow
from moorage_gitops.host.deploy.objects import Owner


async def until_healthy(
    store: Store,
    owner: Owner,
    commit: str,
    since: int,
    seconds: float,
    tell: Callable[[Iterable[str]], Awaitable[None]],
) -> None:
    """Tell every change of the application's health until it is Healthy, gone, at another commit, or ``seconds`` are over."""
    cache = await store.cache(APPLICATION.storage)
    try:
        async with asyncio.timeout(seconds):
            await _follow(cache, owner, commit, since, tell)
    except TimeoutError:
        await tell(
            [f"Moorage: {owner.name} is not healthy after {seconds:.0f} s; it is applied and goes on without this wait"]
        )


async def _follow(
    cache: Cache, owner: Owner, commit: str, since: int, tell: Callable[[Iterable[str]], Awaitable[None]]
) -> None:
    told = ""
    while True:
        subscription = cache.subscribe(max(since, 0) or cache.revision)
        try:
            entry = cache.get(owner.namespace, owner.name)
            told, done = await _tell(orjson.loads(entry.data) if entry else None, commit, told, tell)
            if done:
                return
            async for changes in subscription:
                for change in changes:
                    if (change.entry.key.namespace, change.entry.key.name) == (owner.namespace, owner.name):
                        document = None if change.type == EventType.DELETED else orjson.loads(change.entry.data)
                        told, done = await _tell(document, commit, told, tell)
                        if done:
                            return
        except (Expired, TooSlow):
            since = cache.revision
        finally:
            subscription.close()


async def _tell(
    document: Document | None, commit: str, told: str, tell: Callable[[Iterable[str]], Awaitable[None]]
) -> tuple[str, bool]:
    if document is None:
        await tell(["Moorage: the application was deleted"])
        return told, True
    status = document.get("status") or {}
    if status.get("revision") != commit:
        return told, status.get("revision") is not None
    health = status.get("health") or {}
    text = ": ".join(part for part in (health.get("status", "Unknown"), health.get("message", "")) if part)
    if text != told:
        await tell([f"Moorage: {text}"])
    return text, health.get("status") == "Healthy"
