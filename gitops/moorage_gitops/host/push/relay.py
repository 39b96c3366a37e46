"""The hook that Git runs: carries a hook's standard streams over an inherited socket to the API server, which decides.

Run as a script by ``python -IS`` (no site, nothing imported but ``os`` and ``select``), because its start is part of every push.
The socket is one end of a pair made for this push alone, so there is no path to find and no secret to guess.
Frames are ``type:1 length:4 (big endian) payload``: to the server B (hook name and environment), I (input), Z (end of
input); from it O (output), E (error stream, shown to the pusher), X (exit status).
"""

from __future__ import annotations

import os
import select
import sys

FD_VARIABLE = "MOORAGE_HOOK_FD"
FORWARDED = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PUSH_OPTION_")
_READ = 1 << 16


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _send(fd: int, kind: bytes, payload: bytes) -> None:
    _write(fd, kind + len(payload).to_bytes(4, "big") + payload)


def _exactly(fd: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = os.read(fd, count - len(data))
        if not chunk:
            os.write(2, b"Moorage: the API server went away; fetch to see what became of this push\n")
            sys.exit(1)
        data += chunk
    return data


def _receive(fd: int) -> None:
    """Handle one frame of the server; ends the process on X."""
    head = _exactly(fd, 5)
    payload = _exactly(fd, int.from_bytes(head[1:], "big"))
    if head[:1] == b"X":
        sys.exit(int(payload))
    _write(1 if head[:1] == b"O" else 2, payload)


def main(hook: str) -> None:
    """Relay until the server says with which status to exit."""
    fd = int(os.environ[FD_VARIABLE])
    known = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(FORWARDED)]
    _send(fd, b"B", "\0".join([hook, *known]).encode(errors="surrogateescape"))
    sources = [fd, 0]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if 0 in ready:
            data = os.read(0, _READ)
            _send(fd, b"I" if data else b"Z", data)
            if not data:
                sources = [fd]
        if fd in ready:
            _receive(fd)


if __name__ == "__main__":
    main(sys.argv[1])
