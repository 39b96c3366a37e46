"""Whether the container engine is well, as the node's Ready condition tells it. Every question to it has a deadline.

Source of the words and times: the kubelet's ``runtimeState`` and ``pleg/generic.go``: a runtime that answers and whose containers
have not been listed for three minutes is not well either (one call that hangs in it, a lock that is never released).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moorage_agent.engine import pause
from moorage_agent.engine.contract import Engine, EngineError
from moorage_agent.node import document

log = logging.getLogger(__name__)

DEADLINE = 30.0
"""Seconds in which the engine must have answered all that is asked of it in one check."""
LIST_THRESHOLD = 180.0
"""Seconds without a look at all containers after which the node is not Ready."""


class Runtime:
    """One node's engine. ``info`` is ``status.nodeInfo``, whose part about the engine is filled in when it first answers;
    ``unlisted`` tells the seconds since all containers were last looked at.
    """

    def __init__(
        self,
        engine: Engine,
        info: dict[str, Any],
        unlisted: Callable[[], float] = lambda: 0.0,
        *,
        deadline: float = DEADLINE,
    ) -> None:
        self._engine = engine
        self._info = info
        self._unlisted = unlisted
        self._deadline = deadline
        self._prepared = False
        self._root: Path | None = None

    def root(self) -> Path | None:
        """Where the engine keeps images and containers, if it has said so."""
        return self._root

    async def check(self) -> document.Engine:
        """Whether the engine answers and can run sandboxes."""
        since = self._unlisted()
        stalled = ""
        if since > LIST_THRESHOLD:
            stalled = f"pleg was last seen active {_text(since)} ago; threshold is {_text(LIST_THRESHOLD)}"
        try:
            async with asyncio.timeout(self._deadline):
                await self._engine.ping()
                if not self._prepared:
                    await self._prepare()
        except EngineError as error:
            return document.Engine(False, str(error), stalled)
        except TimeoutError:
            return document.Engine(False, f"no answer within {self._deadline:g} s", stalled)
        return document.Engine(True, "", stalled)

    async def _prepare(self) -> None:
        """Have the sandbox image, and say what an administrator should know of this engine."""
        name = pause.reference()
        if await self._engine.image(name) is None:
            await self._engine.import_image(name, pause.archive(), ["/pause"])
        info = await self._engine.info()
        self._root = Path(info.root)
        self._info["containerRuntimeVersion"] = f"{info.name}://{info.version}"
        if not info.live_restore:
            log.warning(
                "the engine runs without live-restore: when it restarts, every pod is restarted; "
                'set "live-restore": true in /etc/docker/daemon.json'
            )
        self._prepared = True


def _text(seconds: float) -> str:
    """As Go writes a duration, in whole seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
