"""What the node's pods use, as one JSON document over a stream of the tunnel."""

from __future__ import annotations

import orjson

from moorage.client.tunnel import Stream
from moorage_agent.engine.contract import EngineError
from moorage_agent.node.usage import Meter
from moorage_agent.streams.finding import refusal


class Statistics:
    """Serves streams of kind ``stats``."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def serve(self, stream: Stream) -> None:
        """Write the document. Raises TunnelError where the engine does not answer."""
        try:
            report = await self._meter.report()
        except EngineError as error:
            raise refusal(503, "ServiceUnavailable", str(error)) from error
        await stream.write(orjson.dumps(report))
