"""The parts that rules are made of. Each returns bytes; a rule is a sequence of them.

Registers are 32 bit words, ``word(0)`` to ``word(15)``; a concatenation lies in consecutive words.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from ipaddress import IPv4Network

from moorage_agent.network.nft.wire import attribute, nested, text, u32, u64

ACCEPT, DROP = 1, 0
JUMP, GOTO, RETURN = -3, -4, -5
VERDICT_REGISTER = 0
EQUAL, NOT_EQUAL, GREATER_EQUAL, LESS_EQUAL = 0, 1, 5, 3
TCP, UDP, SCTP = 6, 17, 132
PROTOCOLS = {"TCP": TCP, "UDP": UDP, "SCTP": SCTP}
NEW, ESTABLISHED_RELATED, INVALID = 8, 2 | 4, 1
STATUS_DNAT = 0x20
LOCAL = 2
"""The kernel's type of an address of this machine (RTN_LOCAL)."""
PORT_UNREACHABLE, ADMIN_PROHIBITED = 3, 13

_META_MARK, _META_INPUT, _META_OUTPUT, _META_PROTOCOL = 3, 6, 7, 16
_CT_STATE, _CT_STATUS, _CT_MARK = 0, 2, 3


def word(number: int) -> int:
    """The register of the ``number``-th word."""
    return 8 + number


def native(value: int) -> bytes:
    """A 32 bit number in this machine's order: marks, states and generated numbers are kept so."""
    return value.to_bytes(4, sys.byteorder)


def _expression(name: str, *parts: bytes) -> bytes:
    return text(1, name) + nested(2, *parts)


def _value(kind: int, data: bytes) -> bytes:
    return nested(kind, attribute(1, data))


def verdict_data(code: int, chain: str = "") -> bytes:
    """A verdict as data of an element or of an ``immediate``."""
    return nested(2, u32(1, code), text(2, chain) if chain else b"")


def verdict(code: int, chain: str = "") -> bytes:
    """accept, drop, jump, goto, return."""
    return _expression("immediate", u32(1, VERDICT_REGISTER), nested(2, verdict_data(code, chain)))


def _payload(base: int, offset: int, length: int, register: int) -> bytes:
    return _expression("payload", u32(1, register), u32(2, base), u32(3, offset), u32(4, length))


def source(register: int = word(0)) -> bytes:
    """Load the IPv4 source address."""
    return _payload(1, 12, 4, register)


def destination(register: int = word(0)) -> bytes:
    """Load the IPv4 destination address."""
    return _payload(1, 16, 4, register)


def destination_port(register: int = word(0)) -> bytes:
    """Load the destination port of TCP, UDP or SCTP."""
    return _payload(2, 2, 2, register)


def tunnel_number(register: int = word(0)) -> bytes:
    """Load the 24 bits of a VXLAN packet's network number, 12 bytes after the beginning of the UDP header (RFC 7348)."""
    return _payload(2, 12, 3, register)


def protocol(register: int = word(0)) -> bytes:
    """Load the layer 4 protocol."""
    return _expression("meta", u32(2, _META_PROTOCOL), u32(1, register))


def compare(data: bytes, operation: int = EQUAL, register: int = word(0)) -> bytes:
    """Go on only where the register's first bytes compare so."""
    return _expression("cmp", u32(1, register), u32(2, operation), _value(3, data))


def mask(bits: bytes, flip: bytes = b"", register: int = word(0)) -> bytes:
    """register = (register AND bits) XOR flip."""
    flipped = flip or bytes(len(bits))
    return _expression(
        "bitwise", u32(1, register), u32(2, register), u32(3, len(bits)), _value(4, bits), _value(5, flipped)
    )


def immediate(data: bytes, register: int = word(0)) -> bytes:
    """Load a constant."""
    return _expression("immediate", u32(1, register), _value(2, data))


def is_protocol(number: int) -> Sequence[bytes]:
    """Go on only for this layer 4 protocol."""
    return (protocol(), compare(bytes([number])))


def input_is(name: str, *, prefix: bool = False, operation: int = EQUAL) -> Sequence[bytes]:
    """Go on only for packets that came in on this interface (or on one whose name begins so)."""
    return _interface(_META_INPUT, name, prefix, operation)


def output_is(name: str, *, prefix: bool = False, operation: int = EQUAL) -> Sequence[bytes]:
    """Go on only for packets that go out on this interface (or on one whose name begins so)."""
    return _interface(_META_OUTPUT, name, prefix, operation)


def _interface(key: int, name: str, prefix: bool, operation: int) -> Sequence[bytes]:
    data = name.encode() if prefix else name.encode().ljust(16, b"\0")
    return (_expression("meta", u32(2, key), u32(1, 1)), compare(data, operation, 1))


def in_network(network: IPv4Network, *, of_source: bool) -> Sequence[bytes]:
    """Go on only for packets from (or to) a network."""
    load = source() if of_source else destination()
    return (load, mask(network.netmask.packed), compare(network.network_address.packed))


def add_mark(bit: int) -> Sequence[bytes]:
    """Set a bit of the packet's mark, and of its connection's: later packets do not pass rules that translate."""
    load = _expression("meta", u32(2, _META_MARK), u32(1, word(0)))
    store = _expression("meta", u32(2, _META_MARK), u32(3, word(0)))
    load_connection = _expression("ct", u32(2, _CT_MARK), u32(1, word(0)))
    store_connection = _expression("ct", u32(2, _CT_MARK), u32(4, word(0)))
    change = mask(native(0xFFFFFFFF & ~bit), native(bit))
    return (load, change, store, load_connection, change, store_connection)


def take_mark(bit: int) -> Sequence[bytes]:
    """Go on only where the bit of the mark is set; then clear it."""
    load = _expression("meta", u32(2, _META_MARK), u32(1, word(0)))
    store = _expression("meta", u32(2, _META_MARK), u32(3, word(0)))
    return (load, mask(native(bit)), compare(native(bit)), load, mask(native(0xFFFFFFFF & ~bit)), store)


def state_is(states: int) -> Sequence[bytes]:
    """Go on only for packets of connections in one of these states."""
    load = _expression("ct", u32(2, _CT_STATE), u32(1, word(0)))
    return (load, mask(native(states)), compare(native(0), NOT_EQUAL))


def was_redirected() -> Sequence[bytes]:
    """Go on only for packets of connections whose destination was translated."""
    load = _expression("ct", u32(2, _CT_STATUS), u32(1, word(0)))
    return (load, mask(native(STATUS_DNAT)), compare(native(0), NOT_EQUAL))


def destination_is_local() -> Sequence[bytes]:
    """Go on only for packets to an address of this machine."""
    return (_expression("fib", u32(1, word(0)), u32(2, 3), u32(3, 2)), compare(native(LOCAL)))


def source_is_local() -> Sequence[bytes]:
    """Go on only for packets from an address of this machine."""
    return (fib_source_type(), compare(native(LOCAL)))


def fib_source_type() -> bytes:
    """Load the type of the source address."""
    return _expression("fib", u32(1, word(0)), u32(2, 3), u32(3, 1))


def no_way_back() -> Sequence[bytes]:
    """Go on only for packets whose source is not reached through the interface that they came in on (RFC 3704)."""
    return (_expression("fib", u32(1, word(0)), u32(2, 1), u32(3, 1 | 8)), compare(native(0)))


def lookup(set_name: str, register: int = word(0), *, into: int | None = None, inverted: bool = False) -> bytes:
    """Go on only where the register is (not) in the set; for a map, load what it holds into ``into``."""
    parts = [text(1, set_name), u32(2, register)]
    if into is not None:
        parts.append(u32(3, into))
    if inverted:
        parts.append(u32(5, 1))
    return _expression("lookup", *parts)


def random_number(modulus: int, register: int = word(0)) -> bytes:
    """Load a number from 0 to ``modulus`` - 1, in this machine's order."""
    return _expression("numgen", u32(1, register), u32(2, modulus), u32(3, 1), u32(4, 0))


def remember(set_name: str, key: int, data: int, seconds: int) -> bytes:
    """Put key -> data into a dynamic map, for ``seconds``."""
    return _expression("dynset", text(1, set_name), u32(3, 0), u32(4, key), u32(5, data), u64(6, seconds * 1000))


def forget(set_name: str, key: int, data: int) -> bytes:
    """Take a key out of a dynamic map; ``data`` is a register of the map's shape, which the kernel asks for."""
    return _expression("dynset", text(1, set_name), u32(3, 2), u32(4, key), u32(5, data))


def redirect(address: int = word(0), port: int | None = word(1)) -> bytes:
    """Translate the destination to the address and port in these registers."""
    parts = [u32(1, 1), u32(2, 2), u32(3, address)]
    if port is not None:
        parts.append(u32(5, port))
    return _expression("nat", *parts)


def translate_source(address: int = word(0)) -> bytes:
    """Translate the source to the address in this register."""
    return _expression("nat", u32(1, 0), u32(2, 2), u32(3, address))


def refresh(set_name: str, key: int, data: int, seconds: int) -> bytes:
    """Begin the time of a key of a dynamic map anew."""
    return _expression("dynset", text(1, set_name), u32(3, 1), u32(4, key), u32(5, data), u64(6, seconds * 1000))


def masquerade() -> bytes:
    """Translate the source to this machine's address."""
    return _expression("masq", u32(1, 0x8))


def reject(code: int = PORT_UNREACHABLE) -> bytes:
    """Refuse with an ICMP answer."""
    return _expression("reject", u32(1, 0), attribute(2, struct.pack("B", code)))


def reset() -> bytes:
    """Refuse a TCP connection."""
    return _expression("reject", u32(1, 1), attribute(2, b"\0"))
