"""Watches: decoding the event stream, and resuming it where it broke.

Source: API concepts, "Efficient detection of changes" and "Watch bookmarks". ``BOOKMARK`` moves the resourceVersion to
resume from; ``ERROR`` with code 410 means that what lies between is forgotten: list again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, NamedTuple

import aiohttp
import orjson

from moorage.client.connection import Connection
from moorage.client.errors import ApiError, Gone, Unauthorized, Unavailable, Unreachable, from_status

log = logging.getLogger(__name__)

FIRST_DELAY = 0.1
LAST_DELAY = 15.0
SHORTEST, LONGEST = 300.0, 600.0
"""A watch lasts between these many seconds, then is opened again (client-go's range): spreads load over servers."""


class WatchEvent(NamedTuple):
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: dict[str, Any]


Events = list[WatchEvent]


async def watch_batches(
    connection: Connection,
    path: str,
    params: Mapping[str, str],
    resource_version: str,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[Events, None]:
    """Events in order, as many at a time as arrived together. Goes on after broken connections; ends only by an error.

    Raises Gone where the server has forgotten ``resource_version``, and other ApiErrors that repeating does not help.
    """
    delay = FIRST_DELAY
    while True:
        seconds = random.uniform(SHORTEST, LONGEST)  # noqa: S311 - spread, not a secret
        query = dict(params)
        query.update(watch="1", allowWatchBookmarks="true", timeoutSeconds=str(int(seconds)))
        if resource_version:
            query["resourceVersion"] = resource_version
        try:
            async with connection.stream("GET", path, params=query, headers=headers, timeout=seconds + 30.0) as content:
                async for batch in _events(content):
                    delay = FIRST_DELAY
                    resource_version = batch[-1].object["metadata"]["resourceVersion"]
                    yield batch
        except (Unauthorized, Unavailable, Unreachable) as error:
            delay = _slower(path, delay, error)
        except ApiError as error:
            if error.code != 429:
                raise
            delay = _slower(path, delay, error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            delay = _slower(path, delay, error)
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret


def _slower(path: str, delay: float, error: Exception) -> float:
    log.info("watch of %s broke, going on: %s", path, str(error) or type(error).__name__)
    return min(delay * 2, LAST_DELAY)


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[Events]:
    """Lines of the stream, decoded. A last line without its newline is a torn one and is left for the next watch."""
    rest = b""
    while True:
        chunk = await content.readany()
        if not chunk:
            return
        if b"\n" not in chunk:
            rest += chunk
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        batch: Events = []
        for line in lines:
            if line:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    if batch:
                        yield batch
                    raise _ended(event["object"])
                batch.append(WatchEvent(event["type"], event["object"]))
        if batch:
            yield batch


def _ended(status: Mapping[str, Any]) -> ApiError:
    error = from_status(status)
    if error.reason in ("Expired", "Gone") and not isinstance(error, Gone):
        return Gone(410, status)
    return error
