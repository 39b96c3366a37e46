"""Git's pkt-line framing (gitprotocol-common): four hex digits of length, then that many bytes less four."""

from __future__ import annotations

FLUSH = b"0000"
MAX_PAYLOAD = 65516
SIDEBAND_PAYLOAD = 65515


class ProtocolError(ValueError):
    """The other side does not speak pkt-line."""


def line(payload: bytes) -> bytes:
    """One packet. Raises ProtocolError for a payload that does not fit."""
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError("packet too long")
    return b"%04x%b" % (len(payload) + 4, payload)


def band(number: int, payload: bytes) -> bytes:
    """``payload`` on a side band, in as many packets as it takes."""
    return b"".join(
        line(bytes([number]) + payload[at : at + SIDEBAND_PAYLOAD]) for at in range(0, len(payload), SIDEBAND_PAYLOAD)
    )


def take(data: bytes, at: int) -> tuple[bytes | None, int] | None:
    """The packet at ``at`` (None for a flush) and the index behind it; None where it is not complete yet.

    Raises ProtocolError where a length is not four hex digits.
    """
    if at + 4 > len(data):
        return None
    try:
        length = int(data[at : at + 4], 16)
    except ValueError:
        raise ProtocolError("not a pkt-line length") from None
    if length == 0:
        return None, at + 4
    if length < 4:
        raise ProtocolError("a reserved pkt-line length")
    return (data[at + 4 : at + length], at + length) if at + length <= len(data) else None


def split(data: bytes, start: int = 0) -> tuple[list[bytes | None], int]:
    """The complete packets of ``data`` from ``start`` (None for a flush), and the index after the last one.

    Raises ProtocolError.
    """
    packets: list[bytes | None] = []
    at = start
    while (found := take(data, at)) is not None:
        packet, at = found
        packets.append(packet)
    return packets, at


def section(data: bytes, start: int) -> tuple[list[bytes], int] | None:
    """The packets up to the next flush, and the index behind it; None where it is not complete yet. Raises ProtocolError."""
    packets: list[bytes] = []
    at = start
    while (found := take(data, at)) is not None:
        packet, at = found
        if packet is None:
            return packets, at
        packets.append(packet)
    return None
