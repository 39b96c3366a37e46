"""A part's side of the supervision: say "ready" once, and end when the supervisor is gone."""

from __future__ import annotations

import ctypes
import os
import signal

READY_VARIABLE = "MOORAGE_READY_FD"
PARENT_VARIABLE = "MOORAGE_PARENT_PID"
_PR_SET_PDEATHSIG = 1


def ready() -> None:
    """Tell the supervisor that this part does its work now; without one, nothing happens."""
    descriptor = os.environ.pop(READY_VARIABLE, "")
    if descriptor.isdigit():
        with os.fdopen(int(descriptor), "wb") as pipe:
            pipe.write(b"ready\n")


def end_with_parent() -> None:
    """Get SIGTERM when the supervisor dies, even by SIGKILL (prctl(2), PR_SET_PDEATHSIG); outside one, nothing happens."""
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if str(os.getppid()) != parent:
        raise SystemExit("the supervisor is gone")
