"""What every test gets: fixtures from ``tests.support``, and a failure for each asyncio task that a test leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

pytest_plugins = [
    "tests.support.postgres",
    "tests.support.certificates",
    "tests.support.apiserver",
    "tests.support.docker",
    "tests.support.installation",
    "tests.support.oidc",
]


@pytest.fixture(autouse=True)
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail a test after which tasks of its event loop still run once its fixtures are torn down."""
    before = asyncio.all_tasks()
    yield
    before.add(cast("asyncio.Task[object]", asyncio.current_task()))
    # A task that was cancelled or told to stop may need a few turns of the loop to end.
    for _ in range(20):
        leaked = [task for task in asyncio.all_tasks() - before if not task.done()]
        if not leaked:
            return
        await asyncio.sleep(0)
    await asyncio.wait(leaked, timeout=1)
    leaked = [task for task in leaked if not task.done()]
    for task in leaked:
        task.cancel()
    assert not leaked, "tasks left behind: " + ", ".join(repr(task) for task in leaked)
