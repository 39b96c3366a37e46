"""Lifecycle hooks: postStart and preStop. Source: API reference, LifecycleHandler.

What a hook printed or was answered is told to nobody: whoever may read events need not be one who may reach what it reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from moorage_agent.pods.observed import every_container
from moorage_agent.probes.checks import Checks, Target

if TYPE_CHECKING:
    from moorage_agent.pods.worker import PodWorker

LONGEST = 3600.0
"""Seconds for a hook without a deadline of its own: every wait has an end."""


async def run(checks: Checks, hook: Mapping[str, Any], target: Target, limit: float | None) -> bool:
    """Run a hook for at most ``limit`` seconds; whether it succeeded. Any answer to ``httpGet`` does, whatever its status, and
    ``tcpSocket`` never: the API keeps it for compatibility only.
    """
    seconds = LONGEST if limit is None else limit
    if hook.get("sleep"):
        await asyncio.sleep(min(float(hook["sleep"]["seconds"]), seconds))
        return True
    if hook.get("httpGet"):
        return await checks.answers(hook["httpGet"], target, seconds)
    if hook.get("exec"):
        return (await checks.run(hook, target, seconds)).ok
    return False


def target(worker: PodWorker, name: str, identity: str) -> Target:
    """The container as hooks see it."""
    spec = next((one for one in every_container(worker.pod) if one["name"] == name), {"name": name})
    return Target(identity, spec, worker.pod_ip())
