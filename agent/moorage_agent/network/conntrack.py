"""Flows that the kernel remembers, and how to make it forget some. Blocking.

A UDP flow keeps the backend that it got with its first packet for as long as packets come, also when that backend is gone: unlike
TCP nobody ends it. What leads to a backend that a Service has no more is therefore forgotten, and the flow's next packet gets
another one. Source: kube-proxy's ``pkg/proxy/conntrack/cleanup.go``; linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import NamedTuple

from moorage_agent.network.nft import wire
from moorage_agent.network.nft.expressions import UDP, native
from moorage_agent.network.nft.kernel import NETLINK_NETFILTER

SUBSYSTEM = 1
_GET, _DELETE = 1, 2
_ORIGINAL, _REPLY, _IDENTITY, _FILTER = 1, 2, 12, 25
_ORIGINAL_FLAGS, _BY_PROTOCOL = 1, 1 << 3
_IP, _PROTOCOL = 1, 2
_SOURCE, _DESTINATION = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_ERROR, _DONE = 2, 3
_BUFFER = 1 << 20

Point = tuple[str, int]
"""Address and port; the address "" stands for every one of this machine."""
Targets = Mapping[Point, frozenset[Point]]
"""Where each point of a Service may lead to."""


class Flow(NamedTuple):
    """``asked`` is whom the client sent to, ``answers`` who answers. ``tuple`` and ``identity`` are the kernel's names for it."""

    asked: Point
    answers: Point
    tuple: bytes
    identity: bytes


def stale(flow: Flow, targets: Targets, is_local: Callable[[str], bool]) -> bool:
    """Whether a flow leads to what its Service does not have; ``is_local`` tells addresses of this machine. Pure."""
    allowed = targets.get(flow.asked)
    if allowed is None and is_local(flow.asked[0]):
        allowed = targets.get(("", flow.asked[1]))
    return allowed is not None and flow.answers not in allowed


def forget(targets: Targets, is_local: Callable[[str], bool]) -> int:
    """Make the kernel forget all UDP flows that are stale; how many there were. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as kernel:
        kernel.bind((0, 0))
        kernel.settimeout(30.0)
        wrong = [flow for flow in _flows(kernel) if stale(flow, targets, is_local)]
        for flow in wrong:
            _delete(kernel, flow)
    return len(wrong)


def _flows(kernel: socket.socket) -> Iterator[Flow]:
    # Only UDP, of what may be hundreds of thousands of flows. A kernel before 5.8 knows no filter and tells of all.
    only_udp = wire.nested(_ORIGINAL, wire.nested(_PROTOCOL, wire.attribute(_NUMBER, bytes([UDP]))))
    only_udp += wire.nested(_FILTER, wire.attribute(_ORIGINAL_FLAGS, native(_BY_PROTOCOL)))
    kernel.sendto(wire.message(SUBSYSTEM << 8 | _GET, wire.REQUEST | wire.DUMP, 1, only_udp), (0, 0))
    while True:
        for kind, _, payload in wire.messages(kernel.recv(_BUFFER)):
            if kind == _DONE:
                return
            if kind == _ERROR:
                code = -struct.unpack_from("=i", payload)[0]
                raise OSError(code, f"listing flows: {os.strerror(code)}")
            found = wire.attributes(payload[4:])
            original, reply = wire.attributes(found[_ORIGINAL]), wire.attributes(found[_REPLY])
            protocol = wire.attributes(original[_PROTOCOL])
            if protocol[_NUMBER][0] == UDP:
                asked = _point(original, _DESTINATION, _DESTINATION_PORT)
                answers = _point(reply, _SOURCE, _SOURCE_PORT)
                yield Flow(asked, answers, found[_ORIGINAL], found.get(_IDENTITY, b""))


def _point(part: Mapping[int, bytes], address: int, port: int) -> Point:
    addresses, ports = wire.attributes(part[_IP]), wire.attributes(part[_PROTOCOL])
    return str(IPv4Address(addresses[address])), int.from_bytes(ports[port], "big")


def _delete(kernel: socket.socket, flow: Flow) -> None:
    body = wire.nested(_ORIGINAL, flow.tuple)
    if flow.identity:
        body += wire.attribute(_IDENTITY, flow.identity)
    kernel.sendto(wire.message(SUBSYSTEM << 8 | _DELETE, wire.REQUEST | wire.ACK, 2, body), (0, 0))
    for kind, _, payload in wire.messages(kernel.recv(_BUFFER)):
        code = -struct.unpack_from("=i", payload)[0] if kind == _ERROR else 0
        if code not in (0, errno.ENOENT):  # it may have ended by itself meanwhile
            raise OSError(code, f"forgetting a flow: {os.strerror(code)}")
