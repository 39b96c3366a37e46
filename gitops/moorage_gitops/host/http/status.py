"""The report of a push (report-status, gitprotocol-pack).

Made whole for pushes that Git never sees, and completed where a hook refused.

Git itself says only ``pre-receive hook declined``; the pusher shall read the reason behind ``! [remote rejected]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from moorage_gitops.host.git import pktline

_DECLINED = b" pre-receive hook declined"


def refused(refs: Iterable[str], reason: str, lines: str = "") -> bytes:
    """The whole answer to a push that is refused before Git sees it."""
    inner = pktline.line(b"unpack ok\n")
    for ref in refs:
        inner += pktline.line(f"ng {ref} {one_line(reason)}\n".encode(errors="replace"))
    progress = pktline.band(2, (lines or f"Moorage: {reason}\n").encode(errors="replace"))
    return progress + pktline.band(1, inner + pktline.FLUSH) + pktline.FLUSH


def one_line(reason: str, limit: int = 300) -> str:
    """``reason`` as it fits into a report: its first line, cut at ``limit`` characters."""
    line = reason.strip().splitlines()[0] if reason.strip() else "refused"
    line = "".join(character if character.isprintable() else " " for character in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


class Completer:
    """Passes Git's answer on: progress at once; the report at the end, with the reason in refusals by the pre-receive hook.

    ``reason`` gives the reason for a ref, or "" to leave Git's words.
    """

    def __init__(self, reason: Callable[[str], str]) -> None:
        self._reason = reason
        self._pending = b""
        self._report = b""

    def feed(self, data: bytes) -> bytes:
        """The progress in the next bytes of Git; incomplete packets wait."""
        data = self._pending + data
        try:
            packets, end = pktline.split(data)
        except pktline.ProtocolError:
            self._report += data
            self._pending = b""
            return b""
        self._pending = data[end:]
        progress = b""
        for packet in packets:
            if packet is not None and packet[:1] == b"\x02":
                progress += pktline.line(packet)
            else:
                self._report += pktline.FLUSH if packet is None else self._packet(packet)
        return progress

    def report(self) -> bytes:
        """What is left at the end; empty where Git ended without a word."""
        return self._report + self._pending

    def _packet(self, packet: bytes) -> bytes:
        if packet[:1] != b"\x01" or _DECLINED not in packet:
            return pktline.line(packet)
        try:
            lines, end = pktline.split(packet, 1)
        except pktline.ProtocolError:
            return pktline.line(packet)
        inner = b"".join(pktline.FLUSH if line is None else pktline.line(self._line(line)) for line in lines)
        return pktline.band(1, inner + packet[end:])

    def _line(self, line: bytes) -> bytes:
        text = line.rstrip(b"\n")
        if not text.startswith(b"ng ") or not text.endswith(_DECLINED):
            return line
        ref = text[3 : -len(_DECLINED)]
        reason = self._reason(ref.decode(errors="surrogateescape"))
        return b"ng %b %b\n" % (ref, one_line(reason).encode(errors="replace")) if reason else line
