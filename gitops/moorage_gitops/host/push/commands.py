"""The ref changes and options of a push, and the rules that hold before any manifest is read. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from moorage_gitops.host.deploy.problems import Refused
from moorage_gitops.host.git.refs import ZERO

OPTIONS = {
    "dry-run": "show what would change, and change nothing",
    "wait": "wait until the application is healthy",
    "confirm-prune": "allow a push that deletes a large part of an application",
    "rewrite-history": "allow a deployed branch to move to a commit that does not follow the present one",
    "adopt": "take over objects that belong to another application",
}
_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"
_UNWANTED = ("..", "@{", " ", "~", "^", ":", "?", "*", "[", "\\")
_LONGEST = 250


@dataclass(frozen=True, slots=True)
class Command:
    """One ref change as the client asks for it. ``old`` and ``new`` are "" for none."""

    old: str
    new: str
    ref: str

    @property
    def branch(self) -> str:
        """The branch's name, "" for a tag."""
        return self.ref.removeprefix(_BRANCHES) if self.ref.startswith(_BRANCHES) else ""


def parse(lines: Iterable[bytes]) -> list[Command]:
    """From ``OLD NEW REF`` lines."""
    commands = []
    for line in lines:
        old, new, ref = line.rstrip(b"\n").decode(errors="surrogateescape").split(" ", 2)
        commands.append(Command("" if old == ZERO else old, "" if new == ZERO else new, ref))
    return commands


def options(given: Sequence[str]) -> frozenset[str]:
    """The push options. Raises Refused for an unknown one, which may be a misspelt confirmation."""
    unknown = [option for option in given if option not in OPTIONS]
    if unknown:
        shown = "".join(character if character.isprintable() else "?" for character in unknown[0][:60])
        raise Refused(
            f"unknown push option {shown!r}",
            [
                f"Unknown push option {shown!r}. There are:",
                *(f"    -o {name:<16} {text}" for name, text in OPTIONS.items()),
            ],
        )
    return frozenset(given)


def check(commands: Sequence[Command], deployed: Collection[str]) -> None:
    """Raise Refused for refs that are not hosted, and for the deletion of a branch in ``deployed``."""
    for command in commands:
        shown = command.ref.encode(errors="backslashreplace").decode()
        if not well_formed(command.ref):
            raise Refused(f"{shown}: not a name that Git takes for a branch or tag")
        if not command.ref.startswith((_BRANCHES, _TAGS)):
            raise Refused(f"{shown}: only branches (refs/heads/) and tags (refs/tags/) are hosted here")
        if not command.new and command.branch in deployed:
            raise Refused(
                f"the deployed branch {command.branch} cannot be deleted",
                [
                    f"The branch {command.branch} is deployed and cannot be deleted by a push.",
                    "To remove what it deployed, push a commit without the manifests.",
                    "To stop deploying, suspend the application: kubectl patch application NAME --type merge -p "
                    '\'{"spec": {"suspend": true}}\'',
                    "To deploy another branch, change spec.deployBranch of the Repository.",
                ],
            )


def parents(ref: str) -> list[str]:
    """``refs/heads/a`` for ``refs/heads/a/b``: names that cannot be refs beside ``ref``."""
    parts = ref.split("/")
    return ["/".join(parts[:end]) for end in range(3, len(parts))]


def well_formed(ref: str) -> bool:
    """Whether Git takes ``ref`` as a name (git-check-ref-format)."""
    parts = ref.split("/")
    return (
        len(ref) <= _LONGEST
        and ref.isprintable()
        and not any(mark in ref for mark in _UNWANTED)
        and not ref.endswith(".")
        and all(part and not part.startswith((".", "-")) and not part.endswith(".lock") for part in parts)
    )


def diverged(branch: str) -> Refused:
    """The refusal of a deployed branch's move to a commit that does not follow the present one."""
    return Refused(
        f"the deployed branch {branch} only moves forward; fetch first, or see the text above",
        [
            f"The deployed branch {branch} has commits that yours does not follow.",
            "If somebody else pushed: git pull --rebase, then push again.",
            "To go back to an earlier state: git revert the commits, then push.",
            "To replace the branch's history on purpose: git push --force -o rewrite-history",
            "Nothing was applied and the branch did not move.",
        ],
    )
