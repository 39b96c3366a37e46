"""Small pods and observations for tests."""

from __future__ import annotations

from typing import Any

from moorage_agent.engine.contract import Container, State
from moorage_agent.pods.labels import SANDBOX_NAME, spec_hash
from moorage_agent.pods.observed import Attempt, ImageState, Observed

Document = dict[str, Any]
IMAGE = "app:1"
READY = ImageState(True, "sha256:app")


def container(name: str = "c", **fields: Any) -> Document:
    """A container's spec."""
    return {"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", **fields}


def pod(*containers: Document, name: str = "web", **spec: Any) -> Document:
    """A pod bound to a node."""
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "generation": 1}
    whole = {"containers": list(containers or (container(),)), "restartPolicy": "Always", **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole, "status": {"phase": "Pending"}}


def attempt(
    name: str,
    number: int = 0,
    state: State = State.RUNNING,
    *,
    sandbox: str = "sandbox",
    code: int = 0,
    backoff: float = 0.0,
    started: float = 100.0,
    finished: float = 0.0,
    error: str = "",
    of: Document | None = None,
) -> Attempt:
    """A start of a container as it would be read from the engine."""
    found = Container(
        id=f"{name}-{number}",
        name=name,
        state=state,
        created=started,
        started=0.0 if state is State.CREATED else started,
        finished=finished if state is State.EXITED else 0.0,
        exit_code=code,
        error=error,
        image_id="sha256:app",
        ip="10.0.0.1" if name == SANDBOX_NAME else "",
    )
    return Attempt(name, number, sandbox, spec_hash(of or container(name)), backoff, found)


def sandbox(number: int = 0, state: State = State.RUNNING) -> Attempt:
    """The pod's sandbox; the first is called ``sandbox``."""
    made = attempt(SANDBOX_NAME, number, state, sandbox="")
    identity = "sandbox" if number == 0 else f"sandbox-{number}"
    found = Container(id=identity, name=SANDBOX_NAME, state=state, created=100.0, started=100.0, ip="10.0.0.1")
    return Attempt(made.name, number, "", "", 0.0, found)


def seen(*attempts: Attempt, images: tuple[str, ...] = ("c",), **fields: Any) -> Observed:
    """An observation with a running sandbox, ready volumes and images, unless told otherwise."""
    by_name: dict[str, tuple[Attempt, ...]] = {}
    for one in attempts:
        by_name[one.name] = (*by_name.get(one.name, ()), one)
    given: dict[str, Any] = {
        "sandboxes": (sandbox(),),
        "attempts": by_name,
        "volumes_ready": True,
        "images": dict.fromkeys(images, READY),
        "start_time": 100.0,
    }
    return Observed(**{**given, **fields})
