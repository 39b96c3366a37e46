"""Being in another process' network for a moment: sockets that are made meanwhile stay there (network_namespaces(7)).

A thread is moved, never a child process: a child of ``fork`` shares the event loop's wake-up socket, so a signal that ends
the child would be taken for one of the agent's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Run the body with the calling thread in the network of process ``pid``. Raises OSError where it has ended.

    For threads that do nothing else: never the event loop's.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(there)
    finally:
        os.close(home)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
