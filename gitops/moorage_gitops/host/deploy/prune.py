"""What to delete because it left the tree, and when that needs a word from the pusher. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from moorage.store.contracts import Key
from moorage_gitops.host.deploy.live import Live
from moorage_gitops.host.deploy.problems import Refused
from moorage_gitops.names import PRUNE_ANNOTATION

FEW = 10
"""Deletions up to this many need no confirmation, unless nothing would be left."""
_TRAILER = re.compile(r"^Confirm-Prune:\s*(yes|true)\s*$", re.IGNORECASE)
_SHOWN = 10
# Contents before the namespace that holds them; a namespace takes its contents along.
_LAST = frozenset(("Namespace",))


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """``remove`` in the order of deletion; ``keep`` left the tree too but may not be pruned."""

    remove: Sequence[Live] = ()
    keep: Sequence[Live] = ()


def plan(live: Sequence[Live], desired: Collection[Key], *, enabled: bool) -> PrunePlan:
    """The live objects that ``desired`` no longer names."""
    left = [item for item in live if item.key not in desired and not item.deleting]
    if not enabled:
        return PrunePlan((), left)
    remove = sorted((item for item in left if not item.keep), key=lambda item: (item.kind.kind in _LAST, item.key))
    return PrunePlan(remove, [item for item in left if item.keep])


def confirmed(message: str) -> bool:
    """Whether a commit's message ends in a paragraph with the trailer ``Confirm-Prune: yes``."""
    paragraph = message.strip().rpartition("\n\n")[2]
    return any(_TRAILER.match(line) for line in paragraph.splitlines())


def guard(pruning: PrunePlan, live: int, desired: int, application: str) -> None:
    """Raise Refused for a deletion so large that it may be a mistake.

    That is: all of an application, or more than ``FEW`` objects and more than half of them.
    """
    count = len(pruning.remove)
    if count == 0 or (desired > 0 and (count <= FEW or count * 2 <= live)):
        return
    names = [
        f"    {item.kind.kind} {item.namespace + '/' if item.namespace else ''}{item.name}"
        for item in pruning.remove[:_SHOWN]
    ]
    if count > _SHOWN:
        names.append(f"    ... and {count - _SHOWN} more")
    reason = (
        f"this push would delete {count} of the {live} objects of application {application}; it needs a confirmation"
    )
    raise Refused(
        reason,
        [
            f"This push would delete {count} of the {live} objects of application {application}:",
            *names,
            "If that is what you want, say so in one of these ways:",
            "    git push -o confirm-prune",
            "    a last line in the commit's message: Confirm-Prune: yes",
            f"To keep single objects, annotate them: kubectl annotate KIND NAME {PRUNE_ANNOTATION}=disabled",
            "Nothing was applied and the branch did not move.",
        ],
    )
