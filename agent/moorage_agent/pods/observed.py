"""What is known of a pod at one moment, as values: the planner's and the status builder's whole input besides the pod itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from moorage_agent.engine.contract import Container, State
from moorage_agent.pods import labels as names

POD = names.SANDBOX_NAME
VOLUMES = "VOLUMES"
END = "END"
"""Names under which operations on sandbox, volumes and at the pod's end are under way; upper case, so no container's."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a container (or sandbox). ``attempt`` is its restart count, ``sandbox`` the id of the sandbox it joined."""

    name: str
    attempt: int
    sandbox: str
    hash: str
    backoff: float
    container: Container

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.container.state is State.RUNNING

    @property
    def dangling(self) -> bool:
        """Created and never started: the agent or the engine was killed in between."""
        return self.container.state is State.CREATED and not self.container.error

    @property
    def ended(self) -> bool:
        """Ran and ended, or could not be started."""
        return not self.running and not self.dangling

    @property
    def exit_code(self) -> int:
        """Its exit code; one that could not be started counts as 128, as with containerd."""
        return (self.container.exit_code or 128) if self.container.error else self.container.exit_code

    @property
    def finished(self) -> float:
        """When it ended; one that could not be started ended when it was made."""
        return self.container.finished or self.container.created

    @property
    def ran(self) -> float:
        """Seconds that it ran for."""
        return max(0.0, self.finished - self.container.started) if self.container.started else 0.0


def attempt_of(container: Container) -> Attempt | None:
    """Read a container's labels; None where they are not ours or not whole."""
    labels = container.labels
    try:
        return Attempt(
            name=labels[names.CONTAINER],
            attempt=int(labels[names.ATTEMPT]),
            sandbox=labels.get(names.SANDBOX, ""),
            hash=labels.get(names.HASH, ""),
            backoff=float(labels.get(names.BACKOFF, "0")),
            container=container,
        )
    except (KeyError, ValueError):
        return None


class Failure(NamedTuple):
    """Something that did not work and is tried again at ``retry_at``. ``reason`` is what ``kubectl get`` shows."""

    reason: str
    message: str
    retry_at: float
    tries: int = 1


class ImageState(NamedTuple):
    """What is known of a container's image: ``ready`` (with its ``id``), being fetched, or failed (then ``failure``)."""

    ready: bool = False
    id: str = ""
    failure: Failure | None = None


class Health(NamedTuple):
    """What a running container's probes say."""

    started: bool = True
    ready: bool = True
    unhealthy: str = ""
    """Which probe (``liveness``, ``startup``) failed for good; "" where none did."""


class Termination(NamedTuple):
    """The pod must end. ``grace`` is seconds, ``gone`` that the API has no such pod any more."""

    grace: float
    gone: bool = False


class Verdict(NamedTuple):
    """The node has decided that the pod has failed: why, and the seconds that its containers have to end."""

    reason: str
    message: str
    grace: float | None = None
    refused: bool = False
    """The pod was never let in: nothing of it was started, and its containers have no status."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A pod at one moment. ``attempts`` holds for each container its starts in ascending order, ``busy`` the names that
    have an operation under way (fetching an image is none: it touches no container).
    """

    sandboxes: tuple[Attempt, ...] = ()
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    volumes_ready: bool = False
    failures: Mapping[str, Failure] = field(default_factory=dict)
    images: Mapping[str, ImageState] = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)
    """By container id."""
    termination: Termination | None = None
    start_time: float = 0.0
    """When the agent first saw the pod, seconds since the epoch."""
    cleaned: bool = False
    """Nothing of the pod is left on this machine."""
    verdict: Verdict | None = None
    """Why the node ends the pod for good."""
    pending: tuple[str, str] | None = None
    """Why a resize that was asked for is not granted: (reason, message)."""
    starting: frozenset[str] = frozenset()
    """Containers whose process runs, and whose postStart hook has not returned: they do not count as running yet."""

    def sandbox(self) -> Attempt | None:
        """The sandbox that runs, the newest where there are several."""
        return next((one for one in reversed(self.sandboxes) if one.running), None)

    def sandbox_id(self) -> str:
        """The id of the sandbox that runs, or ""."""
        sandbox = self.sandbox()
        return sandbox.container.id if sandbox else ""

    def last(self, name: str) -> Attempt | None:
        """The newest start of a container."""
        starts = self.attempts.get(name)
        return starts[-1] if starts else None

    def running(self) -> list[Attempt]:
        """All containers that run, sandboxes not counted."""
        return [one for starts in self.attempts.values() for one in starts if one.running]


def init_containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pod's init containers, sidecars among them."""
    return pod["spec"].get("initContainers") or []


def containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pod's regular containers."""
    result: list[dict[str, Any]] = pod["spec"]["containers"]
    return result


def ephemeral_containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Containers that were added to look at the pod (KEP-277)."""
    return pod["spec"].get("ephemeralContainers") or []


def every_container(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All containers of the pod, of whatever sort."""
    return [*containers(pod), *init_containers(pod), *ephemeral_containers(pod)]


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """An init container that goes on running beside the others (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def restart_policy(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """The policy that holds for a container: its own (KEP-5307), else the pod's, of which an init
    container takes Always as OnFailure.
    """
    own = container.get("restartPolicy")
    if own:
        return str(own)
    if any(one["name"] == container["name"] for one in ephemeral_containers(pod)):
        return "Never"
    policy: str = pod["spec"].get("restartPolicy") or "Always"
    if policy == "Always" and any(one["name"] == container["name"] for one in init_containers(pod)):
        return "OnFailure"
    return policy


def rule_of(container: Mapping[str, Any], exit_code: int) -> str:
    """The action of the first of ``restartPolicyRules`` that an exit code meets (KEP-5307, KEP-5532); "" for none."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if (exit_code in (codes.get("values") or ())) is (codes.get("operator") == "In"):
            return str(rule["action"])
    return ""
