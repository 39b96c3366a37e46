"""What becomes of one object, given what live reads said of its owners.

Source: Kubernetes' ``garbagecollector.go`` (``attemptToDeleteItem``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from moorage.controllers.garbage.graph import FOREGROUND, ORPHAN, Node, Owner


class OwnerState(Enum):
    """``SOLID``: exists and stays. ``ABSENT``: verified to be gone. ``WAITING``: exists, and is being deleted in the
    foreground, so that it waits for its dependents.
    """

    SOLID = auto()
    ABSENT = auto()
    WAITING = auto()


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class DropReferences:
    """It has an owner that stays: only forget the others."""

    uids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Delete:
    """No owner is left. ``propagation`` is Background, Foreground or Orphan."""

    propagation: str


@dataclass(frozen=True, slots=True)
class Unblock:
    """A circle of foreground deletions: stop blocking the owners, then delete in the foreground."""


Verdict = Keep | DropReferences | Delete | Unblock


def verdict(node: Node, states: Mapping[str, OwnerState]) -> Verdict:
    """``states`` holds the state of every owner of ``node``, by uid; an owner that is missing there counts as solid, for in
    doubt nothing is deleted.
    """
    by_state: dict[OwnerState, list[Owner]] = {state: [] for state in OwnerState}
    for owner in node.owners:
        by_state[states.get(owner.uid, OwnerState.SOLID)].append(owner)
    absent, waiting = by_state[OwnerState.ABSENT], by_state[OwnerState.WAITING]
    if not absent and not waiting:
        return Keep()
    if by_state[OwnerState.SOLID]:
        return DropReferences([owner.uid for owner in (*absent, *waiting)])
    if waiting and node.dependents:
        in_circle = any(each.foreground for each in node.dependents)
        return Unblock() if in_circle else Delete("Foreground")
    return Delete(_propagation(node.finalizers))


def _propagation(finalizers: Iterable[str]) -> str:
    """The way of deletion that was asked for before, if any, stays."""
    found = set(finalizers)
    if ORPHAN in found:
        return "Orphan"
    return "Foreground" if FOREGROUND in found else "Background"
