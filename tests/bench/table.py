"""What ``make bench`` prints: one row per figure, next to what was asked for and what kube-apiserver reached on the
same kind of machine.
"""

from __future__ import annotations

from dataclasses import dataclass

KUBERNETES = "kube-apiserver 1.36 + etcd 3.5"
"""Measured with the same loads on a 2-core machine of this kind (with kube-scheduler, and kubelet with containerd);
see docs/performance.md.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, as text with its unit."""

    work: str
    measured: str
    goal: str = ""
    kubernetes: str = ""


def render(rows: list[Row]) -> str:
    """The table as aligned text."""
    head = Row("work", "measured", "goal", KUBERNETES)
    cells = [[row.work, row.measured, row.goal, row.kubernetes] for row in [head, *rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
