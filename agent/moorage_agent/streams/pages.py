"""A node's pages over a stream of its tunnel: a line of JSON (``code``, ``type``), then the body."""

from __future__ import annotations

import orjson

from moorage.client.tunnel import Stream
from moorage_agent.metrics.pages import Pages


class PageStreams:
    """Serves streams of kind ``page``: ``method``, ``path``, ``query``."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def serve(self, stream: Stream) -> None:
        """Write the answer. Raises TunnelError where the other end goes."""
        asked = stream.request
        page = await self._pages.answer(str(asked.get("method")), str(asked.get("path")), str(asked.get("query") or ""))
        await stream.write(orjson.dumps({"code": page.code, "type": page.type}) + b"\n" + page.body)
