"""A list of changes to one table that the kernel makes all at once or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from moorage_agent.network.nft import wire
from moorage_agent.network.nft.wire import attribute, listed, nested, text, u32, u64

NEW_TABLE, DELETE_TABLE, NEW_CHAIN, DELETE_CHAIN, NEW_RULE, DELETE_RULE = 0, 2, 3, 5, 6, 8
NEW_SET, DELETE_SET, NEW_ELEMENTS, DELETE_ELEMENTS = 9, 11, 12, 14
PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING = range(5)

MAP, TIMEOUT, EVALUATED, INTERVAL, CONCATENATED = 0x8, 0x10, 0x20, 0x4, 0x80
VERDICT_TYPE = 0xFFFFFF00
INTERVAL_END = 1
ELEMENTS_AT_ONCE = 200
"""Elements of one message: an attribute holds 64 KiB at most."""


class Element(NamedTuple):
    """A key of a set; ``data`` are the attribute bytes of what a map holds for it, ``end`` the range's last key."""

    key: bytes
    data: bytes = b""
    end: bytes = b""
    flags: int = 0


def address_data(data: bytes) -> bytes:
    """What a map to values holds."""
    return attribute(1, data)


class Batch:
    """Changes to ``table``, in order."""

    def __init__(self, table: str) -> None:
        self.table = table
        self._parts: list[tuple[int, int, bytes]] = []
        self._set_ids = 0

    def __len__(self) -> int:
        return len(self._parts)

    def replace_table(self) -> None:
        """An empty table, whatever there was."""
        self.add_table()
        self.delete_table()
        self.add_table()

    def add_table(self) -> None:
        """The table; it may be there."""
        self._add(NEW_TABLE, wire.CREATE, text(1, self.table))

    def delete_table(self) -> None:
        """The table and all in it. It must be there."""
        self._add(DELETE_TABLE, 0, text(1, self.table))

    def add_chain(self, name: str) -> None:
        """A chain that others jump to."""
        self._add(NEW_CHAIN, wire.CREATE, text(1, self.table) + text(3, name))

    def add_base_chain(self, name: str, kind: str, hook: int, priority: int) -> None:
        """A chain that the kernel runs at ``hook``; what passes it is accepted."""
        where = nested(4, u32(1, hook), u32(2, priority))
        self._add(NEW_CHAIN, wire.CREATE, text(1, self.table) + text(3, name) + where + u32(5, 1) + text(7, kind))

    def flush_chain(self, name: str) -> None:
        """Remove the chain's rules."""
        self._add(DELETE_RULE, 0, text(1, self.table) + text(2, name))

    def delete_chain(self, name: str) -> None:
        """Remove an empty chain."""
        self._add(DELETE_CHAIN, 0, text(1, self.table) + text(3, name))

    def add_rule(self, chain: str, expressions: Iterable[bytes]) -> None:
        """A rule at the end of a chain."""
        body = text(1, self.table) + text(2, chain) + nested(4, listed(expressions))
        self._add(NEW_RULE, wire.CREATE | wire.APPEND, body)

    def add_set(
        self,
        name: str,
        fields: Sequence[int],
        *,
        flags: int = 0,
        data_size: int = 0,
        verdicts: bool = False,
        seconds: int = 0,
    ) -> None:
        """A set of keys of so many bytes each field; a map where there is data or verdicts."""
        padded = [(field + 3) & ~3 for field in fields]
        size = sum(padded) if len(fields) > 1 else fields[0]
        self._set_ids += 1
        body = text(1, self.table) + text(2, name)
        if len(fields) > 1 and flags & INTERVAL:
            flags |= CONCATENATED
        if data_size or verdicts:
            flags |= MAP
        body += u32(3, flags) + u32(4, 0) + u32(5, size) + u32(10, self._set_ids)
        if verdicts:
            body += u32(6, VERDICT_TYPE) + u32(7, 16)
        elif data_size:
            body += u32(6, 0) + u32(7, data_size)
        if flags & CONCATENATED:
            body += nested(9, nested(2, listed(u32(1, field) for field in padded)))
        if seconds:
            body += u64(11, seconds * 1000)
        self._add(NEW_SET, wire.CREATE, body)

    def delete_set(self, name: str) -> None:
        """Remove a set that no rule uses."""
        self._add(DELETE_SET, 0, text(1, self.table) + text(2, name))

    def flush_set(self, name: str) -> None:
        """Remove a set's elements."""
        self._add(DELETE_ELEMENTS, 0, text(1, self.table) + text(2, name))

    def add_elements(self, name: str, elements: Iterable[Element]) -> None:
        """Put elements into a set. A key that is there with other data is an error."""
        self._elements(NEW_ELEMENTS, wire.CREATE, name, elements)

    def delete_elements(self, name: str, elements: Iterable[Element]) -> None:
        """Take elements out of a set; each must be there."""
        self._elements(DELETE_ELEMENTS, 0, name, elements)

    def _elements(self, kind: int, flags: int, name: str, elements: Iterable[Element]) -> None:
        encoded = [_element(element) for element in elements]
        for start in range(0, len(encoded), ELEMENTS_AT_ONCE):
            some = encoded[start : start + ELEMENTS_AT_ONCE]
            self._add(kind, flags, text(1, self.table) + text(2, name) + nested(3, b"".join(some)))

    def encode(self) -> tuple[bytes, int]:
        """The whole batch, and the sequence number that the kernel acknowledges last."""
        parts = [wire.message(wire.BATCH_BEGIN, wire.REQUEST, 1, b"", resource=wire.SUBSYSTEM, family=0)]
        last = len(self._parts) + 1
        for sequence, (kind, flags, body) in enumerate(self._parts, 2):
            more = wire.REQUEST | (wire.ACK if sequence == last else 0)
            parts.append(wire.message(wire.SUBSYSTEM << 8 | kind, flags | more, sequence, body))
        parts.append(wire.message(wire.BATCH_END, wire.REQUEST, last + 1, b"", resource=wire.SUBSYSTEM, family=0))
        return b"".join(parts), last

    def describe(self, sequence: int) -> str:
        """What the message with this number was about, for an error."""
        index = sequence - 2
        if not 0 <= index < len(self._parts):
            return "the batch"
        kind, _, body = self._parts[index]
        found = wire.attributes(body)
        names = [found[number].rstrip(b"\0").decode(errors="replace") for number in (2, 3) if number in found]
        return f"message {kind} {' '.join(name for name in names if name.isprintable())}"

    def _add(self, kind: int, flags: int, body: bytes) -> None:
        self._parts.append((kind, flags, body))


def _element(element: Element) -> bytes:
    parts = [nested(1, attribute(1, element.key))]
    if element.data:
        parts.append(nested(2, element.data))
    if element.flags:
        parts.append(u32(3, element.flags))
    if element.end:
        parts.append(nested(10, attribute(1, element.end)))
    return nested(1, *parts)
