"""The gRPC health check (grpc.health.v1) as a probe: one HTTP/2 request of four frames, which need no library.

Source: RFC 9113 (frames), RFC 7541 (HPACK: only literals without indexing are sent, and answers' headers are not read), gRPC's
PROTOCOL-HTTP2 and health.proto. The answer's message decides: field 1 is 1 where the service is SERVING.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Mapping
from typing import Any

from moorage_agent.probes.checks import Result, dial_error

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
STREAM = 1
LONGEST_FRAME = 2**20
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def check(ip: str, spec: Mapping[str, Any], timeout: float) -> Result:
    """Ask ``spec['port']`` for the health of ``spec['service']``."""
    host, port = ip, int(spec["port"])
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request(f"{host}:{port}", spec.get("service") or ""))
                status = await _answer(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        return Result(
            False, f'timeout: failed to connect service "{host}:{port}" within {timeout:g}s: context deadline exceeded'
        )
    except OSError as error:
        return Result(False, f'error: failed to connect service at "{host}:{port}": {dial_error(error)}')
    except (asyncio.IncompleteReadError, ValueError) as error:
        return Result(False, f"error: this server does not implement the grpc health protocol: {error}")
    if status == 1:
        return Result(True)
    return Result(False, f'service unhealthy (responded with "{STATUSES.get(status, str(status))}")')


def request(authority: str, service: str) -> bytes:
    """Preface, SETTINGS, HEADERS and DATA of ``grpc.health.v1.Health/Check``."""
    name = service.encode("utf-8")
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    headers = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/grpc.health.v1.Health/Check"),
        (b":authority", authority.encode("ascii")),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
    block = b"".join(b"\x00" + bytes([len(key)]) + key + bytes([len(value)]) + value for key, value in headers)
    body = b"\x00" + struct.pack("!I", len(message)) + message
    return (
        PREFACE
        + _frame(SETTINGS, 0, 0, b"")
        + _frame(HEADERS, END_HEADERS, STREAM, block)
        + _frame(DATA, END_STREAM, STREAM, body)
    )


def _varint(number: int) -> bytes:
    """Protocol Buffers' form of a number: seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """The status in the answer's message. Raises ValueError where there is none."""
    body = b""
    while True:
        head = await reader.readexactly(9)
        size = int.from_bytes(head[:3], "big")
        kind, flags = head[3], head[4]
        if size > LONGEST_FRAME:
            raise ValueError("not HTTP/2")
        payload = await reader.readexactly(size)
        if kind == SETTINGS and not flags & ACK:
            writer.write(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            writer.write(_frame(PING, ACK, 0, payload))
        elif kind == DATA:
            body += payload
        if kind in (RST_STREAM, GOAWAY) or (kind in (DATA, HEADERS) and flags & END_STREAM):
            break
    if len(body) < 5:
        raise ValueError("no answer to the health check")
    message = body[5:]
    return message[1] if message[:1] == b"\x08" and len(message) > 1 else 0


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + struct.pack("!I", stream) + payload
