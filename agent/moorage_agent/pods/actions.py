"""What the planner may ask for. Values only; ``moorage_agent.pods.operations`` does them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from moorage_agent.engine.contract import Limits


class CreateSandbox(NamedTuple):
    """Make and start the pod's sandbox."""

    attempt: int


class StartSandbox(NamedTuple):
    """Start a sandbox that was created and not started."""

    id: str


class StopSandbox(NamedTuple):
    """End the sandbox of a finished pod; its containers stay for their logs."""

    id: str


class PrepareVolumes(NamedTuple):
    """Make the pod's volumes ready."""


class FetchImage(NamedTuple):
    """Make sure that a container's image is here, by its pull policy."""

    name: str


class StartContainer(NamedTuple):
    """Create and start a container. ``backoff`` is the delay that it carries for its own end."""

    name: str
    attempt: int
    sandbox: str
    backoff: float


class Resume(NamedTuple):
    """Start a container that was created and not started."""

    name: str
    id: str


class Resize(NamedTuple):
    """Give a running container other limits."""

    name: str
    id: str
    limits: Limits


class Kill(NamedTuple):
    """End a container. ``message`` is the event's text; ``grace`` seconds, None for the pod's own. It is stopped when those of
    the names in ``after`` have ended, and at the end of its grace at the latest.
    """

    name: str
    id: str
    grace: float | None
    message: str
    after: tuple[str, ...] = ()


class Remove(NamedTuple):
    """Remove a container that has ended."""

    name: str
    id: str


class CleanUp(NamedTuple):
    """Everything of the pod has ended: remove volumes and, where ``containers``, all its containers."""

    containers: bool


class Finish(NamedTuple):
    """Nothing of the pod is left: tell the API so."""


Action = (
    CreateSandbox
    | StartSandbox
    | StopSandbox
    | PrepareVolumes
    | FetchImage
    | StartContainer
    | Resume
    | Resize
    | Kill
    | Remove
    | CleanUp
    | Finish
)


class Waiting(NamedTuple):
    """Why a container does not run; ``kubectl get`` shows the reason."""

    reason: str
    message: str = ""


@dataclass(slots=True)
class Plan:
    """``actions`` touch different containers and may be done at the same time; ``wake_at`` is when time alone changes the plan.

    ``failed`` is set where the pod has failed as a whole: (reason, message).
    """

    actions: list[Action] = field(default_factory=list)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    wake_at: float | None = None
    failed: tuple[str, str] | None = None

    def wake(self, at: float) -> None:
        """Come back no later than ``at``."""
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)
