"""Hands each stream of the tunnel to the part that serves its kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from moorage.client.tunnel import Stream
from moorage_agent.streams.finding import refusal

Serve = Callable[[Stream], Awaitable[None]]


class Streams:
    """The kinds of streams that this node serves."""

    def __init__(self, kinds: Mapping[str, Serve]) -> None:
        self._kinds = kinds

    async def serve(self, stream: Stream) -> None:
        """Serve one stream. Raises TunnelError."""
        serve = self._kinds.get(str(stream.request.get("kind")))
        if serve is None:
            raise refusal(400, "BadRequest", f"this node serves no streams of kind {stream.request.get('kind')!r}")
        await serve(stream)
