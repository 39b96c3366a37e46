"""The one way in which tests wait: poll a condition that says why it does not hold yet."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


class NotYet(AssertionError):
    """Raised by a condition that does not hold; its text is reported when the time is up."""


@overload
async def until(condition: Callable[[], Awaitable[T | None]], *, timeout: float = 30.0, every: float = 0.05) -> T: ...
@overload
async def until(condition: Callable[[], T | None], *, timeout: float = 30.0, every: float = 0.05) -> T: ...
async def until(condition: Callable[[], Any], *, timeout: float = 30.0, every: float = 0.05) -> Any:
    """Return the first result of ``condition`` that is neither None nor False; it may also raise AssertionError for "not yet".

    After ``timeout`` seconds raises AssertionError with the last reason.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            result = condition()
            if inspect.isawaitable(result):
                result = await result
            if result is not None and result is not False:
                return result
            reason: object = f"{getattr(condition, '__name__', condition)} gave {result!r}"
        except AssertionError as error:
            reason = error
        if time.monotonic() > end:
            raise AssertionError(f"still waiting after {timeout} s: {reason}")
        await asyncio.sleep(every)


async def throughout(condition: Callable[[], object], *, seconds: float, every: float = 0.05) -> None:
    """Assert that ``condition`` (which raises AssertionError where it does not hold) holds for ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if inspect.isawaitable(result):
            await result
        await asyncio.sleep(every)
