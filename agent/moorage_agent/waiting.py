"""Waiting for an event with a deadline."""

from __future__ import annotations

import asyncio


async def happened(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until ``event`` is set, for at most ``seconds`` (None: for ever); returns whether it is.

    ``asyncio.wait_for`` of Python 3.11 loses a cancellation that arrives together with the event, so that a worker which was
    told to stop would go on; ``asyncio.timeout`` does not.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
