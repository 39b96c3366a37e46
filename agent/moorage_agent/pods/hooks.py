"""Lifecycle hooks: postStart and preStop. Source: API reference, LifecycleHandler."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from moorage_agent.probes.checks import Checks, Target

__all__ = ["LONGEST", "Target", "run"]

LONGEST = 3600.0
"""Seconds for a hook without a deadline of its own: every wait has an end."""


async def run(checks: Checks, hook: Mapping[str, Any], target: Target, limit: float | None) -> str:
    """Run a hook for at most ``limit`` seconds. Returns what went wrong, "" where nothing did."""
    seconds = LONGEST if limit is None else limit
    if hook.get("sleep"):
        await asyncio.sleep(min(float(hook["sleep"]["seconds"]), seconds))
        return ""
    result = await checks.run(hook, target, seconds)
    return "" if result.ok else result.message or "the hook failed"
