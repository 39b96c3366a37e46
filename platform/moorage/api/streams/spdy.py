"""SPDY/3.1 framing, as far as port-forwarding needs it: kubectl tunnels it through a WebSocket (KEP-4006).

Source: "SPDY Protocol - Draft 3.1", sections 2.2 (framing) and 2.6 (control frames). Flow control is left out, as in the library
that kubectl uses: the WebSocket below has its own. Pure: bytes in, frames out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY = 1, 2, 3, 4, 6, 7
FIN = 1
REFUSED_STREAM, CANCEL = 3, 5
LARGEST = 1024 * 1024
"""Bytes of a frame at most."""

_HEADERS_SEEN = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length content-location "
    "content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match "
    "if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range "
    "referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get "
    "status|200 OK|version|HTTP/1.1|url public set-cookie keep-alive origin"
)
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal "
    "Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, "
    "Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,"
    "text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _words() -> Iterator[str]:
    before, *single = _HEADERS_SEEN.split("|")
    yield from before.split(" ")
    yield from single[:-1]
    yield from single[-1].split(" ")


DICTIONARY = b"".join(struct.pack("!I", len(word)) + word.encode() for word in _words()) + _REST.encode()
"""What both ends' compressors know from the start (section 2.6.10.1)."""


class Frame(NamedTuple):
    """``kind`` is 0 for data. ``stream`` is a ping's id in a PING. ``headers`` belong to SYN_STREAM."""

    kind: int
    stream: int = 0
    flags: int = 0
    data: bytes = b""
    headers: Mapping[str, str] = {}


class Reader:
    """Bytes in, frames out. Raises ValueError for what is no SPDY."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now."""
        self._buffer += data
        while len(self._buffer) >= 8:
            size = int.from_bytes(self._buffer[5:8], "big")
            if size > LARGEST:
                raise ValueError(f"a SPDY frame of {size} bytes; {LARGEST} are allowed")
            if len(self._buffer) < 8 + size:
                return
            head, body = bytes(self._buffer[:8]), bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            yield self._frame(head, body)

    def _frame(self, head: bytes, body: bytes) -> Frame:
        flags = head[4]
        if not head[0] & 0x80:
            return Frame(0, int.from_bytes(head[:4], "big"), flags, body)
        kind = int.from_bytes(head[2:4], "big")
        number = int.from_bytes(body[:4], "big") & 0x7FFFFFFF if len(body) >= 4 else 0
        if kind == SYN_STREAM:
            return Frame(kind, number, flags, headers=self._headers(body[10:]))
        if kind == PING:
            return Frame(kind, int.from_bytes(body[:4], "big"), flags)
        return Frame(kind, number, flags, body)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            text = self._inflate.decompress(block, LARGEST)
            (count,) = struct.unpack_from("!I", text)
            position, found = 4, {}
            for _ in range(count):
                name, position = _string(text, position)
                value, position = _string(text, position)
                found[name.lower()] = value
        except (zlib.error, struct.error) as error:
            raise ValueError(f"a SPDY header block cannot be read: {error}") from error
        return found


class Writer:
    """Frames as bytes."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def reply(self, stream: int) -> bytes:
        """SYN_REPLY without headers: the stream is accepted."""
        block = self._deflate.compress(struct.pack("!I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, 0, struct.pack("!I", stream) + block)

    @staticmethod
    def data(stream: int, data: bytes, *, last: bool = False) -> bytes:
        """A data frame; ``last`` ends our half of the stream."""
        return struct.pack("!I", stream) + bytes((FIN if last else 0,)) + len(data).to_bytes(3, "big") + data

    @staticmethod
    def reset(stream: int, status: int) -> bytes:
        """RST_STREAM."""
        return _control(RST_STREAM, 0, struct.pack("!II", stream, status))

    @staticmethod
    def ping(number: int) -> bytes:
        """The answer to a PING."""
        return _control(PING, 0, struct.pack("!I", number))


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("!HHB", 0x8003, kind, flags) + len(body).to_bytes(3, "big") + body


def _string(text: bytes, position: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("!I", text, position)
    end = position + 4 + size
    if end > len(text):
        raise ValueError("a SPDY header block ends too early")
    return text[position + 4 : end].decode("latin-1"), end
