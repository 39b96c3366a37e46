"""Whether containers and pods are done for good. Pure; shared by the planner and the status builder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage_agent.pods.observed import (
    Attempt,
    Observed,
    containers,
    init_containers,
    is_sidecar,
    restart_policy,
    rule_of,
)

RESTART_ALL = "RestartAllContainers"


def restarts(pod: Mapping[str, Any], container: Mapping[str, Any], last: Attempt) -> bool:
    """Whether a container that ended as ``last`` did is started again."""
    if rule_of(container, last.exit_code):
        return True
    policy = restart_policy(pod, container)
    return policy == "Always" or (policy == "OnFailure" and last.exit_code != 0)


def may_begin_anew(pod: Mapping[str, Any]) -> bool:
    """Whether an exit of one of the pod's containers may start all of them anew (KEP-5532)."""
    return any(
        rule.get("action") == RESTART_ALL
        for one in (*init_containers(pod), *containers(pod))
        for rule in one.get("restartPolicyRules") or ()
    )


def begun_anew(pod: Mapping[str, Any], seen: Observed) -> float:
    """When the last end of a container asked for all of them to start anew (KEP-5532), seconds since the epoch; 0.0: never.

    What was made before is of the past: it is ended, and init containers run again.
    """
    asking = [
        one
        for one in (*init_containers(pod), *containers(pod))
        if any(rule.get("action") == RESTART_ALL for rule in one.get("restartPolicyRules") or ())
    ]
    return max(
        (
            start.finished
            for one in asking
            for start in seen.attempts.get(one["name"], ())
            if start.ended and rule_of(one, start.exit_code) == RESTART_ALL
        ),
        default=0.0,
    )


def init_failed(pod: Mapping[str, Any], seen: Observed) -> dict[str, Any] | None:
    """The init container that failed and is not tried again, so that the pod has failed."""
    since = begun_anew(pod, seen)
    for container in init_containers(pod):
        last = seen.last(container["name"])
        if last is None or not last.ended or is_sidecar(container) or last.container.created < since:
            continue
        if last.exit_code != 0 and not restarts(pod, container, last):
            return container
    return None


def settled(pod: Mapping[str, Any], seen: Observed) -> str:
    """``Succeeded`` or ``Failed`` where no container will run again, else "".

    Once the API has recorded such a phase it is final, whatever containers are or are not left on the machine.
    """
    recorded = (pod.get("status") or {}).get("phase")
    if recorded in ("Succeeded", "Failed"):
        return str(recorded)
    if init_failed(pod, seen) is not None:
        return "Failed"
    ends: list[Attempt] = []
    since = begun_anew(pod, seen)
    for container in containers(pod):
        last = seen.last(container["name"])
        if last is None or not last.ended or last.container.created < since or restarts(pod, container, last):
            return ""
        ends.append(last)
    return "Succeeded" if all(last.exit_code == 0 for last in ends) else "Failed"


def initialized(pod: Mapping[str, Any], seen: Observed) -> bool:
    """Whether every init container has done its part in the present sandbox (sidecars: have started)."""
    sandbox = seen.sandbox()
    if sandbox is None:
        return not init_containers(pod) or all(
            (last := seen.last(one["name"])) is not None and last.ended and last.exit_code == 0
            for one in init_containers(pod)
            if not is_sidecar(one)
        )
    return has_begun(pod, seen) or next_init(pod, seen) is None


def has_begun(pod: Mapping[str, Any], seen: Observed) -> bool:
    """Whether a regular container was started in the present sandbox: then init containers are not run again."""
    sandbox = seen.sandbox()
    since = begun_anew(pod, seen)
    return sandbox is not None and any(
        one.sandbox == sandbox.container.id and not one.dangling and one.container.created >= since
        for container in containers(pod)
        for one in seen.attempts.get(container["name"], ())
    )


def next_init(pod: Mapping[str, Any], seen: Observed) -> dict[str, Any] | None:
    """The first init container that has not done its part in the present sandbox."""
    sandbox = seen.sandbox()
    since = begun_anew(pod, seen)
    for container in init_containers(pod):
        last = seen.last(container["name"])
        if sandbox is None or last is None or last.sandbox != sandbox.container.id or last.container.created < since:
            return container
        if is_sidecar(container):
            health = seen.health.get(last.container.id)
            if not last.running or container["name"] in seen.busy or (health is not None and not health.started):
                return container
        elif not last.ended or last.exit_code != 0:
            return container
    return None
