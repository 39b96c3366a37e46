"""How long a crashed container waits for its next start. Free of clocks and state: what must be remembered is one
number on each container's label.

Source: kubelet's restart back-off: the first restart is immediate, then 10 s, doubled up to 300 s, forgotten after 10
minutes of running.
"""

from __future__ import annotations

FIRST = 10.0
LONGEST = 300.0
RESET = 2 * LONGEST
"""Seconds of running after which a crash counts as the first."""


def after(delay: float, ran: float) -> float:
    """Seconds to wait from the end of a container that carried ``delay`` and ran for ``ran`` seconds."""
    return 0.0 if ran > RESET else delay


def following(delay: float, ran: float) -> float:
    """The delay that the next container carries, for use at its own end."""
    waited = after(delay, ran)
    return min(waited * 2, LONGEST) if waited else FIRST


def text(delay: float) -> str:
    """As Go prints a duration: ``10s``, ``1m20s``, ``5m0s``."""
    minutes, seconds = divmod(int(delay), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
