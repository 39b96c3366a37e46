"""What is known of a pod's containers on the engine: kept up to date by operations, events and re-lists. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from moorage_agent.engine.contract import Container, State
from moorage_agent.pods import labels as names
from moorage_agent.pods.observed import Attempt, attempt_of

_ORDER = {State.CREATED: 0, State.RUNNING: 1, State.EXITED: 2}


class History:
    """The containers of one pod, by engine id. ``address`` tells a sandbox's address, which the engine may not know."""

    def __init__(self, address: Callable[[Container], str] = lambda sandbox: sandbox.ip) -> None:
        self._address = address
        self._attempts: dict[str, Attempt] = {}

    def put(self, container: Container) -> None:
        """A container as the engine has just described it. An answer that was under way while a newer one arrived must not
        undo what that said: a container goes from created to running to ended, and back only by a later start.
        """
        found = attempt_of(container)
        if found is None:
            return
        known = self._attempts.get(container.id)
        if known is not None and _ORDER[container.state] < _ORDER[known.container.state]:
            again = container.state is State.RUNNING and container.started > known.container.finished
            if not again:
                return
        if found.name == names.SANDBOX_NAME and found.running:
            found = replace(found, container=replace(container, ip=self._address(container)))
        self._attempts[container.id] = found

    def drop(self, identity: str) -> None:
        """The engine has no such container any more."""
        self._attempts.pop(identity, None)

    def ids(self) -> set[str]:
        """All known containers, sandboxes too."""
        return set(self._attempts)

    def get(self, identity: str) -> Attempt | None:
        """One container, or None."""
        return self._attempts.get(identity)

    def sandboxes(self) -> tuple[Attempt, ...]:
        """The pod's sandboxes, oldest first."""
        return self._sorted(names.SANDBOX_NAME)

    def attempts(self) -> dict[str, tuple[Attempt, ...]]:
        """The starts of every container, oldest first."""
        found = {one.name for one in self._attempts.values()} - {names.SANDBOX_NAME}
        return {name: self._sorted(name) for name in found}

    def _sorted(self, name: str) -> tuple[Attempt, ...]:
        return tuple(sorted((one for one in self._attempts.values() if one.name == name), key=lambda one: one.attempt))
