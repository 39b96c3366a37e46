"""Decides what a pod needs next. Pure: a pod, what is observed of it and the time go in, actions come out.

Safety that property tests hold it to: a container is started only where no other of its name runs, is being worked on
or may still start; nothing is started while the pod ends or without its sandbox. Rules follow the kubelet's (Pod
Lifecycle; KEP-753, sidecars).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage_agent.pods import backoff, outcome, resizing
from moorage_agent.pods.actions import (
    Action,
    CleanUp,
    CreateSandbox,
    FetchImage,
    Finish,
    Kill,
    Plan,
    PrepareVolumes,
    Remove,
    Resize,
    Resume,
    StartContainer,
    StartSandbox,
    StopSandbox,
    Waiting,
)
from moorage_agent.pods.labels import spec_hash
from moorage_agent.pods.observed import (
    POD,
    VOLUMES,
    Attempt,
    Observed,
    containers,
    ephemeral_containers,
    init_containers,
    is_sidecar,
    rule_of,
)

Pod = Mapping[str, Any]

DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


def plan(pod: Pod, seen: Observed, now: float) -> Plan:
    """The next step of ``pod`` at ``now`` (seconds since the epoch): one action for each container at most."""
    result = _planned(pod, seen, now)
    first: dict[tuple[bool, str], Action] = {}
    for action in result.actions:
        first.setdefault((isinstance(action, FetchImage), _subject(action)), action)
    result.actions = list(first.values())
    return result


def _subject(action: Action) -> str:
    """The name under which an action keeps others away."""
    if isinstance(action, CreateSandbox | StartSandbox | StopSandbox):
        return POD
    return str(getattr(action, "name", VOLUMES))


def _planned(pod: Pod, seen: Observed, now: float) -> Plan:
    result = Plan()
    if seen.termination is not None:
        _terminate(pod, seen, result)
        return result
    if seen.verdict is not None:
        result.failed = (seen.verdict.reason, seen.verdict.message)
        _finish(pod, seen, result, seen.verdict.grace)
        return result
    ends = _deadline(pod, seen)
    if outcome.settled(pod, seen):
        if ends is not None and _ended_last(pod, seen) >= ends:
            result.failed = DEADLINE
        _finish(pod, seen, result)
        return result
    if ends is not None and now >= ends:
        result.failed = DEADLINE
        _finish(pod, seen, result)
        return result
    if ends is not None:
        result.wake(ends)
    _run(pod, seen, now, result)
    return result


def _deadline(pod: Pod, seen: Observed) -> float | None:
    """When the pod must have ended by itself."""
    limit = pod["spec"].get("activeDeadlineSeconds")
    return seen.start_time + limit if limit is not None and seen.start_time else None


def _ended_last(pod: Pod, seen: Observed) -> float:
    return max((last.finished for one in containers(pod) if (last := seen.last(one["name"])) is not None), default=0.0)


def _terminate(pod: Pod, seen: Observed, result: Plan) -> None:
    """End containers, then the sandbox and what is left, then say so."""
    assert seen.termination is not None
    if not _all_ended(pod, seen, result, seen.termination.grace):
        return
    if not seen.cleaned:
        result.actions.append(CleanUp(containers=True))
    elif not seen.termination.gone:
        result.actions.append(Finish())


def _finish(pod: Pod, seen: Observed, result: Plan, grace: float | None = None) -> None:
    """A pod that is done keeps its ended containers for their logs, and nothing else."""
    if not _all_ended(pod, seen, result, grace):
        return
    running = [one for one in seen.sandboxes if one.running]
    if running:
        result.actions.append(StopSandbox(running[0].container.id))
    elif seen.volumes_ready:
        result.actions.append(CleanUp(containers=False))


def _all_ended(pod: Pod, seen: Observed, result: Plan, grace: float | None) -> bool:
    """End what runs: all are told at once, so that preStop hooks run together, but a sidecar is stopped only after the regular
    containers and the sidecars behind it have ended. True when all has ended.
    """
    regular = [one["name"] for one in containers(pod)]
    sidecars = [one["name"] for one in init_containers(pod) if is_sidecar(one)]
    for one in seen.running():
        if one.name not in seen.busy:
            after = (*regular, *sidecars[sidecars.index(one.name) + 1 :]) if one.name in sidecars else ()
            result.actions.append(Kill(one.name, one.container.id, grace, f"Stopping container {one.name}", after))
    return not seen.running() and not seen.busy


def _run(pod: Pod, seen: Observed, now: float, result: Plan) -> None:
    sandbox = seen.sandbox()
    wanted = _wanted(pod, seen)
    if not seen.volumes_ready and VOLUMES not in seen.busy and _due(seen, VOLUMES, now, result):
        result.actions.append(PrepareVolumes())
    if sandbox is None:
        _need_sandbox(seen, now, result)
        for container in wanted:
            if _may_start(pod, container, seen, now, result):
                _image_ready(container["name"], seen, now, result)
        return
    if POD not in seen.busy:
        stale = (one for one in seen.sandboxes if one.running and one is not sandbox)
        result.actions += [StopSandbox(one.container.id) for one in list(stale)[:1]]
    for one in seen.running():
        stray = one.sandbox != sandbox.container.id or one is not seen.last(one.name)
        if stray and one.name not in seen.busy:
            result.actions.append(Kill(one.name, one.container.id, None, f"Stopping container {one.name}"))
    if _ending_all(pod, seen, result):
        return
    regular = {one["name"] for one in containers(pod)}
    held = False
    for container in [*wanted, *ephemeral_containers(pod)]:
        name = container["name"]
        last = seen.last(name)
        if held and name in regular and (last is None or not last.running):
            _image_ready(name, seen, now, result)
            continue
        _ensure(pod, container, sandbox, seen, now, result)
        held = held or (name in regular and _holds_others(pod, container, seen, result))
    for name, starts in seen.attempts.items():
        _prune(name, starts, seen, result)


def _ending_all(pod: Pod, seen: Observed, result: Plan) -> bool:
    """Whether containers from before the pod's new beginning still run: they end at once, without grace or hooks (KEP-5532)."""
    since = outcome.begun_anew(pod, seen)
    others = {one["name"] for one in ephemeral_containers(pod)}
    old = [one for one in seen.running() if one.container.created < since and one.name not in others]
    for one in old:
        if one.name not in seen.busy:
            result.actions.append(Kill(one.name, one.container.id, 0.0, "Restarting all containers"))
    return bool(old)


def _holds_others(pod: Pod, container: Mapping[str, Any], seen: Observed, result: Plan) -> bool:
    """Whether the containers behind this one wait for its ``postStart`` hook: the kubelet starts one after the other, and people
    rely on it. One that cannot be started for now holds up nobody.
    """
    name = container["name"]
    last = seen.last(name)
    if not (container.get("lifecycle") or {}).get("postStart") or name in result.waiting:
        return False
    if last is not None and last.running:
        return name in seen.starting
    return last is None or not last.ended or outcome.restarts(pod, container, last)


def _wanted(pod: Pod, seen: Observed) -> list[dict[str, Any]]:
    """The containers that should run now, in order of start: sidecars that have had their turn, then the next init container or,
    after the last, the regular ones.
    """
    if outcome.has_begun(pod, seen):
        return [one for one in init_containers(pod) if is_sidecar(one)] + containers(pod)
    wanted: list[dict[str, Any]] = []
    pending = outcome.next_init(pod, seen)
    for container in init_containers(pod):
        if container is pending:
            return [*wanted, container]
        if is_sidecar(container):
            wanted.append(container)
    return wanted + containers(pod)


def _need_sandbox(seen: Observed, now: float, result: Plan) -> None:
    if seen.busy - {VOLUMES}:
        return
    running = seen.running()
    for one in running:
        result.actions.append(Kill(one.name, one.container.id, None, f"Stopping container {one.name}"))
    if running:
        return
    last = seen.sandboxes[-1] if seen.sandboxes else None
    if not _due(seen, POD, now, result):
        return
    if last is not None and last.dangling:
        result.actions.append(StartSandbox(last.container.id))
    else:
        result.actions.append(CreateSandbox(last.attempt + 1 if last else 0))


def _ensure(pod: Pod, container: Mapping[str, Any], sandbox: Attempt, seen: Observed, now: float, result: Plan) -> None:
    """Bring one container to run, or say what it waits for."""
    name = container["name"]
    if name in seen.busy:
        return
    last = seen.last(name)
    if last is not None and last.running:
        if last.sandbox == sandbox.container.id:
            _check_running(pod, container, last, seen, now, result)
        return
    if last is not None and last.dangling:
        if last.sandbox != sandbox.container.id:
            result.actions.append(Remove(name, last.container.id))
        elif seen.volumes_ready:
            result.actions.append(Resume(name, last.container.id))
        return
    if not _may_start(pod, container, seen, now, result):
        return
    if not _image_ready(name, seen, now, result) or not _volumes_ready(name, seen, result):
        return
    attempt = last.attempt + 1 if last else _recorded_restarts(pod, name)
    known = last is not None and not _is_another(container, last)
    delay = backoff.following(last.backoff, last.ran) if last and known else (backoff.FIRST if last else 0.0)
    result.actions.append(StartContainer(name, attempt, sandbox.container.id, delay))


def _check_running(
    pod: Pod, container: Mapping[str, Any], last: Attempt, seen: Observed, now: float, result: Plan
) -> None:
    name, identity = last.name, last.container.id
    health = seen.health.get(identity)
    if _is_another(container, last):
        message = f"Container {name} definition changed, will be restarted"
        result.actions.append(Kill(name, identity, None, message))
    elif health is not None and health.unhealthy:
        probe = container.get(f"{health.unhealthy}Probe") or {}
        message = f"Container {name} failed {health.unhealthy} probe, will be restarted"
        result.actions.append(Kill(name, identity, probe.get("terminationGracePeriodSeconds"), message))
    elif (limits := resizing.change(pod, container, last.container.limits)) is not None:
        if resizing.must_restart(container, last.container.limits, limits):
            message = f"Container {name} resize requires restart"
            result.actions.append(Kill(name, identity, None, message))
        elif _due(seen, f"resize {name}", now, result):
            result.actions.append(Resize(name, identity, limits))


def _is_another(container: Mapping[str, Any], last: Attempt) -> bool:
    """Whether the spec now asks for something else than what was started: then what that did is not held against it."""
    return bool(last.hash) and last.hash != spec_hash(container)


def _may_start(pod: Pod, container: Mapping[str, Any], seen: Observed, now: float, result: Plan) -> bool:
    """Whether neither its policy nor a back-off holds the container back."""
    name = container["name"]
    last = seen.last(name)
    if name in seen.busy or any(not one.ended for one in seen.attempts.get(name, ())):
        return False
    fresh = last is None or (
        seen.sandbox() is not None and last.sandbox != seen.sandbox_id() and _is_initial(pod, name)
    )
    anew = last is not None and last.container.created < outcome.begun_anew(pod, seen)
    if last is not None and not fresh and (not anew or rule_of(container, last.exit_code) == outcome.RESTART_ALL):
        if not outcome.restarts(pod, container, last):
            return False
        delay = 0.0 if _is_another(container, last) else backoff.after(last.backoff, last.ran)
        if now < last.finished + delay:
            metadata = pod["metadata"]
            where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
            message = f"back-off {backoff.text(delay)} restarting failed container={name} pod={where}"
            result.waiting[name] = Waiting("CrashLoopBackOff", message)
            result.wake(last.finished + delay)
            return False
    failure = seen.failures.get(name)
    if failure is not None:
        result.waiting[name] = Waiting(failure.reason, failure.message)
        if now < failure.retry_at:
            result.wake(failure.retry_at)
            return False
    return True


def _is_initial(pod: Pod, name: str) -> bool:
    return any(one["name"] == name for one in init_containers(pod))


def _image_ready(name: str, seen: Observed, now: float, result: Plan) -> bool:
    image = seen.images.get(name)
    if image is None:
        result.actions.append(FetchImage(name))
        return False
    if image.failure is not None:
        result.waiting[name] = Waiting(image.failure.reason, image.failure.message)
        if now >= image.failure.retry_at:
            result.actions.append(FetchImage(name))
        else:
            result.wake(image.failure.retry_at)
        return False
    return image.ready


def _volumes_ready(name: str, seen: Observed, result: Plan) -> bool:
    """Whether the volumes are there; where an image volume is not, its container says what it would say of its own image."""
    failure = seen.failures.get(VOLUMES)
    if not seen.volumes_ready and failure is not None and failure.reason != "FailedMount":
        result.waiting[name] = Waiting(failure.reason, failure.message)
    return seen.volumes_ready


def _due(seen: Observed, name: str, now: float, result: Plan) -> bool:
    """Whether what failed under ``name`` may be tried (again) now."""
    failure = seen.failures.get(name)
    if failure is None or now >= failure.retry_at:
        return True
    result.wake(failure.retry_at)
    return False


def _prune(name: str, starts: tuple[Attempt, ...], seen: Observed, result: Plan) -> None:
    """Keep the newest start and the newest ended one before it (``kubectl logs --previous``); remove older ones one at a time."""
    if name in seen.busy or any(getattr(action, "name", "") == name for action in result.actions):
        return
    keep = 2 if starts[-1].running or starts[-1].dangling else 1
    old = [one for one in starts[:-keep] if not one.running]
    if old:
        result.actions.append(Remove(name, old[0].container.id))


def _recorded_restarts(pod: Pod, name: str) -> int:
    """The restart count of a container none of whose starts is left on the engine: one more than the API recorded."""
    status = pod.get("status") or {}
    for entry in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
        if entry.get("name") == name and entry.get("containerID"):
            return int(entry.get("restartCount") or 0) + 1
    return 0
