"""The status of one container. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from moorage_agent.pods import outcome, redaction, resizing
from moorage_agent.pods.actions import Plan
from moorage_agent.pods.observed import (
    Attempt,
    Health,
    Observed,
    ephemeral_containers,
    every_container,
    init_containers,
    is_sidecar,
)
from moorage_agent.volumes.mounts import can_lock

Pod = Mapping[str, Any]
Document = dict[str, Any]

MESSAGES = 12 * 1024
LOST = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
}
"""How a container has ended whose end nobody saw, or that was never started. Without ``startedAt`` and ``finishedAt``."""


class Describe(Protocol):
    """Looks up what the observation does not hold."""

    def message(self, attempt: Attempt) -> str:
        """What a container that ended left as its termination message."""
        ...

    def image_digest(self, image_id: str) -> str:
        """``NAME@sha256:...`` of an image that came from a registry, else ""."""
        ...


def container_status(
    pod: Pod, container: Mapping[str, Any], seen: Observed, plan: Plan, describe: Describe, *, waiting: str
) -> Document:
    """An entry of ``containerStatuses`` or ``initContainerStatuses``; ``waiting`` is the reason of one not started yet."""
    name = container["name"]
    starts = [one for one in seen.attempts.get(name, ()) if not one.dangling]
    last = starts[-1] if starts else None
    if last is None and (seen.termination is not None or outcome.settled(pod, seen)):
        recorded = _recorded(pod, name)
        if recorded.get("containerID"):
            return recorded  # its containers were removed: what the API knows of them is the last word
    state, ended = _state(pod, container, seen, plan, last, describe, waiting)
    is_init = any(one["name"] == name for one in init_containers(pod))
    is_ephemeral = any(one["name"] == name for one in ephemeral_containers(pod))
    status: Document = {"name": name, "state": state}
    before = last if ended else (starts[-2] if len(starts) > 1 else None)
    status["lastState"] = {"terminated": _terminated(pod, container, before, describe)} if before is not None else {}
    running = "running" in state
    health = seen.health.get(last.container.id, Health()) if last is not None and running else Health(False, False)
    one_shot = is_init and not is_sidecar(container)
    if is_ephemeral:
        status["ready"] = False  # nothing ever asks one (KEP-277)
    elif one_shot:
        status["ready"] = state.get("terminated", {}).get("exitCode") == 0
        status["started"] = running
    else:
        status["ready"] = running and health.started and health.ready
        status["started"] = running and health.started
    status["restartCount"] = last.attempt if last is not None else int(_recorded(pod, name).get("restartCount") or 0)
    status["image"] = container.get("image", "")
    status["imageID"] = _image_id(last, describe)
    if last is not None:
        status["containerID"] = f"docker://{last.container.id}"
        mounted = [_mounted(one) for one in container.get("volumeMounts") or ()]
        status.update({"volumeMounts": mounted} if mounted else {})
    if stop := (container.get("lifecycle") or {}).get("stopSignal"):
        status["stopSignal"] = stop
    status.update(_resources(pod, container, last))
    return status


def conclude(statuses: Sequence[Document], inits: Sequence[Document]) -> None:
    """Of a pod that has ended: no container may look as if it were still to start, except those that never had their turn
    (``TerminatePod`` of the kubelet's ``status_manager.go``).
    """
    begun = [number for number, one in enumerate(inits) if _has_begun(one)]
    lost = list(inits[: begun[-1] + 1 if begun else 1])
    if not inits or any(_has_begun(one) for one in statuses) or _has_succeeded(inits[-1]):
        lost += statuses
    for status in lost:
        if "terminated" not in status["state"]:
            status["state"] = {"terminated": dict(LOST)}
            status["ready"] = status["started"] = False


def _has_begun(status: Mapping[str, Any]) -> bool:
    return "waiting" not in status["state"] or bool(status["lastState"].get("terminated"))


def _has_succeeded(status: Mapping[str, Any]) -> bool:
    ends = (status["state"].get("terminated"), status["lastState"].get("terminated"))
    return any(end is not None and end["exitCode"] == 0 for end in ends)


def _mounted(mount: Mapping[str, Any]) -> Document:
    """An entry of ``volumeMounts`` (KEP-3857)."""
    entry: Document = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        wanted = mount.get("recursiveReadOnly") or "Disabled"
        entry.update(readOnly=True, recursiveReadOnly="Enabled" if wanted != "Disabled" and can_lock() else "Disabled")
    return entry


def _resources(pod: Pod, container: Mapping[str, Any], last: Attempt | None) -> Document:
    """What was granted to the container and what it has (KEP-1287)."""
    granted = container.get("resources") or {}
    if not granted:
        return {"resources": {}} if last is not None else {}
    has = granted
    if last is not None and last.running and resizing.change(pod, container, last.container.limits) is not None:
        has = _recorded(pod, container["name"]).get("resources") or granted
    return {"resources": dict(has), **_without_empty(allocatedResources=granted.get("requests"))}


def _state(
    pod: Pod,
    container: Mapping[str, Any],
    seen: Observed,
    plan: Plan,
    last: Attempt | None,
    describe: Describe,
    waiting: str,
) -> tuple[Document, bool]:
    """(state, whether ``last`` has moved to lastState)."""
    name = container["name"]
    if last is not None and last.running:
        if name in seen.starting:
            return {"waiting": {"reason": waiting}}, False
        return {"running": {"startedAt": _time(last.container.started)}}, False
    reason = plan.waiting.get(name)
    if last is None:
        if reason is None:
            reason_text, message = waiting, ""
        else:
            reason_text, message = reason
        return {"waiting": _without_empty(reason=reason_text, message=message)}, False
    if reason is not None and outcome.restarts(pod, container, last):
        return {"waiting": _without_empty(reason=reason.reason, message=reason.message)}, True
    return {"terminated": _terminated(pod, container, last, describe)}, False


def _terminated(pod: Pod, container: Mapping[str, Any], last: Attempt, describe: Describe) -> Document:
    found = last.container
    if found.error:
        reason = "StartError"
    elif found.oom_killed:
        reason = "OOMKilled"
    else:
        reason = "Completed" if found.exit_code == 0 else "Error"
    return _without_empty(
        exitCode=last.exit_code,
        reason=reason,
        message=redaction.told(found.error, container) or _fitting(pod, describe.message(last)),
        startedAt=_time(found.started),
        finishedAt=_time(last.finished),
        containerID=f"docker://{found.id}",
    )


def _fitting(pod: Pod, message: str) -> str:
    """All messages of a pod have 12 KiB together, each container an even share (the kubelet's ``normalizeStatus``)."""
    return message.encode()[: MESSAGES // len(every_container(pod))].decode("utf-8", "ignore")


def _image_id(last: Attempt | None, describe: Describe) -> str:
    if last is None or not last.container.image_id:
        return ""
    digest = describe.image_digest(last.container.image_id)
    return f"docker-pullable://{digest}" if digest else f"docker://{last.container.image_id}"


def _recorded(pod: Pod, name: str) -> Document:
    """The container's status as the API has it; empty where it has none."""
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in status.get(field) or ():
            if entry.get("name") == name:
                return dict(entry)
    return {}


def _time(at: float) -> str | None:
    """RFC 3339 in UTC; the epoch itself stands for a time that is not known, as in Kubernetes."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_empty(**fields: Any) -> Document:
    return {key: value for key, value in fields.items() if value not in (None, "")}
