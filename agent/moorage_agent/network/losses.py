"""Notices what others take away of a node's links, addresses and routes: the kernel tells of it (rtnetlink(7))."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable

from moorage_agent.network.nft import wire

NETLINK_ROUTE = 0
_LINKS, _ADDRESSES, _ROUTES = 0x1, 0x10, 0x40
"""Groups: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE."""
_NEW_LINK, _DEL_LINK, _DEL_ADDRESS, _DEL_ROUTE = 16, 17, 21, 25
_UP = 1
_IF_NAME, _LABEL = 3, 3
_BUFFER = 1 << 20


class Losses:
    """Sets ``noticed`` when an interface that ``is_ours`` (by its name), an address of one, or a route of ``protocol`` goes, or
    when one that ``must_be_up`` goes down.
    """

    def __init__(
        self, is_ours: Callable[[str], bool], must_be_up: Callable[[str], bool], protocol: int, noticed: asyncio.Event
    ) -> None:
        self._is_ours = is_ours
        self._must_be_up = must_be_up
        self._protocol = protocol
        self._noticed = noticed

    async def run(self) -> None:
        """Listen until cancelled. Raises OSError."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE) as kernel:
            kernel.setblocking(False)
            kernel.bind((0, _LINKS | _ADDRESSES | _ROUTES))
            loop = asyncio.get_running_loop()
            while True:
                try:
                    data = await loop.sock_recv(kernel, _BUFFER)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self._noticed.set()  # more was told than fits: something may have been lost
                    continue
                if self.is_loss(data):
                    self._noticed.set()

    def is_loss(self, data: bytes) -> bool:
        """Whether messages of the kernel tell of a loss of ours."""
        return any(self._lost(kind, payload) for kind, _, payload in wire.messages(data))

    def _lost(self, kind: int, payload: bytes) -> bool:
        if kind == _DEL_LINK:
            return self._is_ours(_name(payload[16:], _IF_NAME))
        if kind == _NEW_LINK:
            (flags,) = struct.unpack_from("=I", payload, 8)
            return not flags & _UP and self._must_be_up(_name(payload[16:], _IF_NAME))
        if kind == _DEL_ADDRESS:
            return self._is_ours(_name(payload[8:], _LABEL))
        return kind == _DEL_ROUTE and payload[5] == self._protocol


def _name(attributes: bytes, kind: int) -> str:
    return wire.attributes(attributes).get(kind, b"").rstrip(b"\0").decode(errors="replace")
