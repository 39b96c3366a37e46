"""watch: the changes of a collection as lines of JSON, each change once and in order.

One task sends; timers and a listener for the client's end only close the subscription, which ends the iteration. That keeps a
change at one wake-up per watcher.
Source: API conventions, "Efficient detection of changes"; KEP-956 (bookmarks); KEP-3157 (streaming lists).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence

from moorage.api import asgi, encode
from moorage.api.answers import accepted
from moorage.api.errors import ApiError, expired, forbidden
from moorage.api.filtering import Filter
from moorage.api.freshness import not_older
from moorage.api.incarnations import check_history
from moorage.api.lines import Lines
from moorage.api.options import ListOptions
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.sight import SHIFTED, Shifted, Sight, change_seen_as
from moorage.api.standing import REVOKED
from moorage.store.contracts import Cache, Change, Entry, Expired, Subscription, TooSlow, Unavailable

DEFAULT_SECONDS = 1800
"""A watch without timeoutSeconds lasts between this and twice this, so that clients do not all come back at once."""
PART_SIZE = 256 * 1024
SIGHT_SECONDS = 2.0
"""How often a watch of a part of a collection looks whether it is still that part."""
STUCK_SECONDS = 30.0
"""A client that takes nothing for so long is dropped."""


async def watch(service: Service, request: Request, options: ListOptions, only: Filter) -> None:
    """GET of a collection with ``watch=1``."""
    lines = Lines(request.kind, accepted(request, watch=True), request)
    stream = _Stream(service, request, options, only, lines)
    service.metrics.watchers[request.kind.plural] += 1
    try:
        await stream.run()
    finally:
        service.metrics.watchers[request.kind.plural] -= 1


class _Stream:
    """One watch from its first byte to its last."""

    def __init__(self, service: Service, request: Request, options: ListOptions, only: Filter, lines: Lines) -> None:
        self._service = service
        self._request = request
        self._options = options
        self._only = only
        self._lines = lines
        self._namespace = request.namespace if request.kind.namespaced else ""
        self._subscription: Subscription | None = None
        self._sending_since: float | None = None
        self._bookmarking: asyncio.Task[None] | None = None
        self._sight: Sight | None = None
        self._revoked = False
        self._pace = service.paces[request.kind.storage]
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Answer 200 and stream. What goes wrong from here on is the stream's last line."""
        cache, refusal = await self._start()
        await self._open()
        try:
            if refusal is None:
                assert cache is not None
                await self._follow(cache)
            else:
                await self._send(encode.error_line(refusal.status()))
        finally:
            await self._request.send({"type": "http.response.body", "body": b""})

    async def _start(self) -> tuple[Cache | None, ApiError | None]:
        """The cache, up to the revision that the client has seen. A revision yet to come is an ERROR line, as in Kubernetes."""
        store, revision = self._service.store, self._options.revision
        try:
            cache = await not_older(store, self._request.kind.storage, revision)
            if self._namespace and revision > 0:
                await check_history(store, self._namespace, revision)
            return cache, None
        except ApiError as error:
            return None, error

    async def _open(self) -> None:
        self._request.code = 200
        headers = [(b"content-type", self._lines.content_type), (b"cache-control", b"no-cache, private")]
        headers += self._request.answer_headers()
        await self._request.send({"type": "http.response.start", "status": 200, "headers": headers})
        # An empty part makes servers send the headers at once: clients wait for them.
        await self._request.send({"type": "http.response.body", "body": b"", "more_body": True})

    async def _follow(self, cache: Cache) -> None:
        initial = self._wants_state()
        since = cache.revision if initial or self._options.revision < 0 else self._options.revision
        try:
            subscription = cache.subscribe(since)
        except Expired:
            text = f"too old resource version: {since} ({cache.revision})"
            await self._send(encode.error_line(expired(text).status()))
            return
        # No await between subscribe and entries: nothing is lost or seen twice.
        entries: Sequence[Entry] = cache.entries(self._namespace or None) if initial else ()
        self._sight = Sight(self._only, cache) if self._only.visible is not None else None
        self._subscription = subscription
        listener = asyncio.create_task(self._listen(subscription), name="watch: client's end")
        self._service.streams.add(subscription.close)
        timers = self._timers(subscription)
        try:
            await self._send_state(entries, since)
            if not self._service.stopping.is_set():
                with self._service.standings.held(self._request.standing, self._revoke):
                    await self._pump(subscription)
        finally:
            for timer in timers:
                timer.cancel()
            self._service.streams.discard(subscription.close)
            subscription.close()
            helpers = [task for task in (listener, self._bookmarking) if task is not None]
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def _wants_state(self) -> bool:
        """Whether the objects that are there come first, as ADDED."""
        if self._options.initial_events is not None:
            return self._options.initial_events
        return self._options.revision <= 0

    async def _send_state(self, entries: Sequence[Entry], revision: int) -> None:
        selected = [entry for entry in entries if self._only.matches(entry)]
        for part in _joined(self._lines.added(entry) for entry in selected):
            await self._send(part)
            await asyncio.sleep(0)
        if self._options.initial_events and self._options.bookmarks:
            await self._send(self._lines.bookmark(revision, initial_events_end=True))

    async def _pump(self, subscription: Subscription) -> None:
        try:
            async for changes in subscription:
                part = b"".join(self._changed(changes))
                if part:
                    await self._send(part)
                    await self._pace.rest()
        except Shifted as error:
            await self._send(encode.error_line(expired(str(error)).status()))
        except TooSlow:
            text = "the watcher did not keep up and was cut off; list again and watch from there"
            await self._send(encode.error_line(expired(text).status()))
        except Expired as error:
            await self._send(encode.error_line(expired(str(error)).status()))
        except Unavailable as error:
            await self._send(encode.error_line(ApiError(503, str(error)).status()))
        else:
            if self._revoked:
                kind = self._request.kind
                await self._send(encode.error_line(forbidden(kind.group, kind.plural, "", REVOKED).status()))
            elif self._sight is not None and self._sight.shifted():
                await self._send(encode.error_line(expired(SHIFTED).status()))
            elif self._options.bookmarks:
                await self._send(self._lines.bookmark(subscription.revision))

    def _changed(self, changes: Sequence[Change]) -> Iterator[bytes]:
        namespace, only = self._namespace, self._only
        for change in changes:
            if namespace and change.entry.key.namespace != namespace:
                continue
            if self._sight is not None:
                seen_as = self._sight.seen_as(change)
            else:
                seen_as = change.type if only.everything else change_seen_as(change, only)
            if seen_as is not None:
                yield self._lines.change(change, seen_as)

    async def _send(self, part: bytes) -> None:
        self._sending_since = self._loop.time()
        await self._request.send({"type": "http.response.body", "body": part, "more_body": True})
        self._sending_since = None

    async def _listen(self, subscription: Subscription) -> None:
        """Wait for the client to go."""
        while (await self._request.receive())["type"] != "http.disconnect":
            continue
        subscription.close()

    def _timers(self, subscription: Subscription) -> list[_Repeating]:
        seconds = self._options.timeout or random.uniform(DEFAULT_SECONDS, 2 * DEFAULT_SECONDS)  # noqa: S311 - spreads load, hides nothing
        timers = [_Repeating(self._loop, float(seconds), subscription.close)]
        timers.append(_Repeating(self._loop, STUCK_SECONDS / 2, self._drop_stuck))
        if self._sight is not None:
            timers.append(_Repeating(self._loop, SIGHT_SECONDS, self._look))
        if self._options.bookmarks:
            timers.append(_Repeating(self._loop, self._service.config.bookmark_seconds, self._bookmark))
        return timers

    def _drop_stuck(self) -> None:
        since = self._sending_since
        if since is not None and self._loop.time() - since > STUCK_SECONDS:
            asgi.abort(self._request.send)

    def _look(self) -> None:
        """End the watch where what may be seen is another set now: no event tells of that."""
        subscription, sight = self._subscription, self._sight
        if (
            subscription is not None
            and sight is not None
            and subscription.revision >= sight.revision
            and sight.shifted()
        ):
            subscription.close()

    def _revoke(self) -> None:
        """End the watch: whoever has it open may not watch any more."""
        self._revoked = True
        if self._subscription is not None:
            self._subscription.close()

    def _bookmark(self) -> None:
        """Say how far the watch is, where nothing is on its way."""
        if self._sending_since is None and self._subscription is not None:
            line = self._lines.bookmark(self._subscription.revision)
            self._bookmarking = self._loop.create_task(self._send(line), name="watch: bookmark")


class _Repeating:
    """Calls a function every ``seconds`` until cancelled."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], None]) -> None:
        self._loop, self._seconds, self._call = loop, seconds, call
        self._handle = loop.call_later(seconds, self._fire)

    def _fire(self) -> None:
        self._handle = self._loop.call_later(self._seconds, self._fire)
        self._call()

    def cancel(self) -> None:
        """Stop calling."""
        self._handle.cancel()


def _joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines in parts of about ``PART_SIZE`` bytes."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= PART_SIZE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
