"""What is wrong with a push, in the words that the pusher reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 20
"""Problems that one push prints; the rest is counted."""
_EXCERPT = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``subject`` is the object (``Deployment web``) or empty; ``excerpt`` a source line that holds no secret."""

    file: str
    line: int
    subject: str
    message: str
    excerpt: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.subject, self.message) if part)

    def lines(self) -> list[str]:
        """As printed, with the excerpt below where it is short."""
        excerpt = self.excerpt.strip()
        if not excerpt or len(excerpt) > _EXCERPT:
            return [str(self)]
        return [str(self), f"    {self.line:>4} | {excerpt}"]


class Refused(Exception):
    """The push is refused. ``reason`` is one line, for the report behind ``! [remote rejected]``; ``lines`` say all."""

    def __init__(self, reason: str, lines: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lines = list(lines) or [reason]


def refuse(problems: Sequence[Problem], advice: Sequence[str] = ()) -> Refused:
    """The refusal of a commit with mistakes: every one of them, up to ``SHOWN``."""
    problems = sorted(problems, key=lambda problem: (problem.file, problem.line))
    lines: list[str] = []
    for problem in problems[:SHOWN]:
        lines += problem.lines()
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN} more")
    files = len({problem.file for problem in problems})
    count = f"{len(problems)} mistake{'s' * (len(problems) != 1)} in {files} file{'s' * (files != 1)}"
    lines += ["", f"{count}; nothing was applied and the branch did not move.", *advice]
    reason = str(problems[0]) if len(problems) == 1 else f"{count}, the first: {problems[0]}"
    return Refused(reason, lines)
