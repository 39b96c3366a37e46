"""Being in another network for a moment: sockets that are made meanwhile stay there (network_namespaces(7)).

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
_OWN = "/proc/thread-self/ns/net"


@contextlib.contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Run the body with the calling thread in the network of process ``pid``. Raises OSError where it has ended.

    For threads that do nothing else: never the event loop's.
    """
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with network(there):
            yield
    finally:
        os.close(there)


@contextlib.contextmanager
def network(descriptor: int) -> Iterator[None]:
    """The same for a network that a descriptor stands for."""
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(descriptor)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def new_network() -> int:
    """A descriptor of a network with nothing in it; it lives as long as somebody has the descriptor or is in it. Raises OSError.

    For threads that do nothing else.
    """
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.unshare(CLONE_NEWNET), "unshare")
        try:
            return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(namespace: int) -> None:
    _checked(_libc.setns(namespace, CLONE_NEWNET), "setns")


def _checked(result: int, call: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
