"""``kubectl logs``: a container's output from the engine into a stream of the node's tunnel.

Source: API reference, PodLogOptions; the kubelet's messages for containers that have no log.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from typing import Any

from moorage.client.tunnel import Stream
from moorage_agent.engine.contract import Engine, EngineError, LogOptions, NoSuchContainer
from moorage_agent.pods import outcome
from moorage_agent.pods.observed import Attempt
from moorage_agent.streams.finding import Find, Request, container_of, pod_of, refusal


class Logs:
    """Serves streams of kind ``logs``."""

    def __init__(self, engine: Engine, find: Find, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._find = find
        self._clock = clock

    async def serve(self, stream: Stream) -> None:
        """Write what ``stream.request`` asks for. Raises TunnelError."""
        async with contextlib.aclosing(self.read(stream.request)) as chunks:
            async for chunk in chunks:
                await stream.write(chunk)

    async def read(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The log as ``request`` wants it. Raises TunnelError."""
        attempt, tty = self._choose(request)
        options = LogOptions(
            follow=bool(request.get("follow")) and not request.get("previous"),
            timestamps=bool(request.get("timestamps")),
            since=self._since(request),
            tail=request.get("tailLines"),
            tty=tty,
        )
        left = request.get("limitBytes")
        try:
            async with contextlib.aclosing(self._engine.logs(attempt.container.id, options)) as chunks:
                async for chunk in chunks:
                    if left is not None:
                        chunk = chunk[:left]
                        left -= len(chunk)
                    yield chunk
                    if left == 0:
                        return
        except NoSuchContainer as error:
            raise refusal(404, "NotFound", f"the log is gone: {error}") from error
        except EngineError as error:
            raise refusal(503, "ServiceUnavailable", str(error)) from error

    def _choose(self, request: Request) -> tuple[Attempt, bool]:
        """The start of the container whose log is meant, and whether it has a terminal."""
        name, pod_name = request["container"], request["pod"]
        found = pod_of(self._find, request)
        container = container_of(found, request)
        seen = found.observe()
        starts = [one for one in seen.attempts.get(name, ()) if not one.dangling]
        if request.get("previous"):
            chosen = _previous(found.pod, container, starts)
            if chosen is None:
                message = f'previous terminated container "{name}" in pod "{pod_name}" not found'
                raise refusal(400, "BadRequest", message)
        elif starts:
            chosen = starts[-1]
        else:
            message = f'container "{name}" in pod "{pod_name}" is waiting to start: {_reason(found.pod, name)}'
            raise refusal(400, "BadRequest", message)
        return chosen, bool(container.get("tty"))

    def _since(self, request: Request) -> float:
        if request.get("sinceTime"):
            return datetime.fromisoformat(request["sinceTime"]).timestamp()
        if request.get("sinceSeconds"):
            return self._clock() - float(request["sinceSeconds"])
        return 0.0


def _previous(pod: Mapping[str, Any], container: Mapping[str, Any], starts: list[Attempt]) -> Attempt | None:
    """The start before the present one; of a container that waits for its next start, the one that has ended."""
    if starts and starts[-1].ended and outcome.restarts(pod, container, starts[-1]):
        return starts[-1]
    return starts[-2] if len(starts) > 1 else None


def _reason(pod: Mapping[str, Any], name: str) -> str:
    status = pod.get("status") or {}
    for entry in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
        if entry.get("name") == name:
            waiting = (entry.get("state") or {}).get("waiting") or {}
            return str(waiting.get("reason") or "ContainerCreating")
    return "ContainerCreating"
