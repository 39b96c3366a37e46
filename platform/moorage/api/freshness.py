"""Which state of a cache answers a read: caches may lag behind PostgreSQL, answers may not.

A read without resourceVersion waits until its cache has what PostgreSQL had when the read arrived; "0" takes what is there; N
takes anything not older than N.
"""

from __future__ import annotations

import asyncio

from moorage.api.errors import ApiError, unavailable
from moorage.resources.kind import ResourceKey
from moorage.store.contracts import Cache, Store

FUTURE_SECONDS = 3.0
"""How long a read waits for a revision that is not there yet, as in Kubernetes' watch cache."""
FRESH_SECONDS = 30.0
"""How long a read waits for what is committed. Where that is not enough, the feed from PostgreSQL is broken."""


async def fresh(store: Store, resource: ResourceKey) -> Cache:
    """The cache of ``resource`` with everything that was committed, through any server, before this call."""
    cache = await store.cache(resource)
    latest = await store.latest()
    if cache.revision < latest:
        try:
            async with asyncio.timeout(FRESH_SECONDS):
                await cache.wait(latest)
        except TimeoutError as error:
            text = f"this server's cache is at revision {cache.revision} and does not catch up with {latest}"
            raise unavailable(text) from error
    return cache


async def not_older(store: Store, resource: ResourceKey, revision: int) -> Cache:
    """The cache with everything up to ``revision``; -1 asks for a fresh one, 0 for any.

    Raises ApiError 504 where the revision does not come (Kubernetes' "Too large resource version").
    """
    if revision < 0:
        return await fresh(store, resource)
    cache = await store.cache(resource)
    if cache.revision >= revision:
        return cache
    try:
        async with asyncio.timeout(FUTURE_SECONDS):
            await cache.wait(revision)
    except TimeoutError as error:
        raise too_large_version(revision, cache.revision) from error
    return cache


def too_large_version(revision: int, current: int) -> ApiError:
    """504: nobody has seen this revision yet."""
    message = f"Too large resource version: {revision}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(504, message, details={"causes": [cause], "retryAfterSeconds": 1})
