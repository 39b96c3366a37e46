"""Nodes that run nothing: agents as they are, each with a fake engine, any number of them in one process.

For trying the platform at a size that no machine here has. Pods behave as the variables of their containers say
(``moorage_agent.engine.fake``); those that say nothing run until they are ended. When the process ends, its containers are gone,
as when machines lose their power.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from moorage_agent.agent import Agent
from moorage_agent.engine.fake import FakeEngine
from moorage_agent.options import AgentOptions

log = logging.getLogger(__name__)

CAPACITY = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "200Gi", "pods": "110"}
LABEL = {"node.kubernetes.io/instance-type": "fake"}
"""Says which nodes are fake, for selectors and people."""
AT_ONCE = 20
"""Nodes that start at the same time."""


async def run(
    options: AgentOptions, count: int, token_of: Callable[[str], Path], on_ready: Callable[[], None] | None = None
) -> None:
    """Run the nodes ``fake-0`` to ``fake-(count-1)`` until cancelled. ``options`` holds what is the same for all of them,
    ``token_of`` gives a node's token file; ``on_ready`` is called once, when all of them are Ready.
    """
    waiting = {name(number) for number in range(count)}
    slots = asyncio.Semaphore(AT_ONCE)

    def ready(node: str) -> None:
        waiting.discard(node)
        slots.release()
        if not waiting and on_ready is not None:
            on_ready()

    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="fake-nodes") as files:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await slots.acquire()
                node = name(number)
                own = _options(options, node, number, token_of(node), ready)
                group.create_task(Agent(own, FakeEngine(every_image=True), files).run(), name=node)
        log.info("%d fake nodes ended", count)


def name(number: int) -> str:
    """A fake node's name."""
    return f"fake-{number}"


def _options(common: AgentOptions, node: str, number: int, token: Path, ready: Callable[[str], None]) -> AgentOptions:
    return replace(
        common,
        node=node,
        token_file=token,
        data_dir=common.data_dir / node,
        address=f"10.{250 + number // 65_536 % 6}.{number // 256 % 256}.{number % 256}",
        labels={**LABEL, **common.labels},
        capacity={**CAPACITY, **common.capacity},
        engine_network=True,
        on_ready=lambda: ready(node),
    )
