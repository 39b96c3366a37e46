"""``exec``, ``attach`` and ``portforward`` without a WebSocket: the same checks, then a word on what is missing.

Clients whose WebSocket is refused ask again in the older way, a POST that wants to become SPDY: they show the user this answer.
"""

from __future__ import annotations

from moorage.api.errors import bad_request
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.streams import asking, nodes
from moorage.api.tunnel import api_error
from moorage.client.tunnel import TunnelError


async def connect(service: Service, request: Request) -> None:
    """Raises ApiError: whatever is wrong, at last that a WebSocket is needed."""
    pod = await nodes.find_pod(service, request)
    kind = request.subresource
    if kind == "portforward":
        asked = {**asking.base(kind, pod), "port": 1}
    else:
        asked = asking.process(kind, pod, request.query, request.scope["query_string"])
    try:
        await nodes.check(service, pod, asked)
    except TunnelError as error:
        raise api_error(error.status) from error
    raise bad_request("Upgrade request required: this server speaks WebSockets here, not SPDY")
