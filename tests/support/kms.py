"""A small key management service as a process of its own: our JSON contract on a unix socket, over AES-GCM keys in a file.

Also the example of docs/secrets.md: ``python -m tests.support.kms SOCKET KEYFILE``. SIGHUP makes a new key.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class KeyFile:
    """Keys by id, as JSON; the last one encrypts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.keys: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if not self.keys:
            self.add()

    def add(self) -> None:
        """A new key."""
        self.keys[f"key-{len(self.keys) + 1}"] = secrets.token_hex(32)
        self._path.write_text(json.dumps(self.keys))
        self._path.chmod(0o600)

    @property
    def current(self) -> str:
        """The id of the key that encrypts."""
        return list(self.keys)[-1]

    def encrypt(self, plaintext: bytes) -> bytes:
        """With the current key."""
        nonce = os.urandom(12)
        return nonce + AESGCM(bytes.fromhex(self.keys[self.current])).encrypt(nonce, plaintext, b"kms")

    def decrypt(self, key_id: str, ciphertext: bytes) -> bytes:
        """Raises KeyError, InvalidTag."""
        return AESGCM(bytes.fromhex(self.keys[key_id])).decrypt(ciphertext[:12], ciphertext[12:], b"kms")


class Handler(BaseHTTPRequestHandler):
    """POST /v1/status, /v1/encrypt, /v1/decrypt."""

    keys: KeyFile
    failing = 0
    """Answers that are 503 before the next good one."""

    def do_POST(self) -> None:
        """Answer one call."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if Handler.failing:
            Handler.failing -= 1
            self._answer(503, {"error": "not now"})
            return
        try:
            self._answer(200, self._called(self.path, body))
        except (KeyError, InvalidTag):
            self._answer(400, {"error": "this is not a ciphertext of mine"})

    def _called(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/v1/status":
            return {"version": "v1", "healthz": "ok", "keyId": self.keys.current}
        if path == "/v1/encrypt":
            ciphertext = self.keys.encrypt(base64.b64decode(body["plaintext"]))
            return {"keyId": self.keys.current, "ciphertext": base64.b64encode(ciphertext).decode(), "annotations": {}}
        plaintext = self.keys.decrypt(body["keyId"], base64.b64decode(body["ciphertext"]))
        return {"plaintext": base64.b64encode(plaintext).decode()}

    def _answer(self, code: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def address_string(self) -> str:
        """A unix socket has none."""
        return "unix"

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@dataclass
class KmsProcess:
    """A running service."""

    socket: Path
    keys: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(10)

    def rotate(self) -> None:
        """Let it make a new key."""
        before = self.keys.stat().st_mtime_ns
        self.process.send_signal(signal.SIGHUP)
        _wait(lambda: self.keys.stat().st_mtime_ns != before)


@contextmanager
def kms(folder: Path) -> Iterator[KmsProcess]:
    """A service with its socket and keys in ``folder``."""
    path, keys = folder / "kms.sock", folder / "kms.json"
    path.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "tests.support.kms", str(path), str(keys)])
    try:
        _wait(lambda: _answers(path))
        yield KmsProcess(path, keys, process)
    finally:
        process.kill()
        process.wait(10)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _wait(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "the KMS does not answer"
        time.sleep(0.02)


def main() -> None:
    """Serve until killed."""
    path, keys = Path(sys.argv[1]), KeyFile(Path(sys.argv[2]))
    Handler.keys = keys
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        path.chmod(0o600)
        signal.signal(signal.SIGHUP, lambda *_: keys.add())
        signal.signal(signal.SIGUSR1, lambda *_: setattr(Handler, "failing", 2))
        server.serve_forever()


if __name__ == "__main__":
    main()
