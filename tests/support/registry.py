"""A registry of container images on this machine: one image, which Docker really pulls, for whoever has the password.

Source: the OCI distribution specification, pull only. Docker takes registries on loopback addresses without TLS.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.support.docker import busybox_archive

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass
class Registry:
    """``address`` is HOST:PORT. ``logins`` are names and passwords that open it; without any it is open to all."""

    address: str = ""
    logins: dict[str, str] = field(default_factory=dict)
    pulls: int = 0
    """How often somebody was given or shown the manifest."""
    blobs: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    manifest: bytes = b""

    def make(self, user: str = "", marker: str = "") -> str:
        """Put the image in; its digest. ``marker`` makes it another one than all before."""
        plain = busybox_archive()
        layer = gzip.compress(plain, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"User": user, "Labels": {"marker": marker}},
                "rootfs": {"type": "layers", "diff_ids": [_digest(plain)]},
            }
        ).encode()
        self.blobs = {_digest(config): (CONFIG, config), _digest(layer): (LAYER, layer)}
        parts = {
            digest: {"mediaType": kind, "size": len(data), "digest": digest}
            for digest, (kind, data) in self.blobs.items()
        }
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": parts[_digest(config)],
                "layers": [parts[_digest(layer)]],
            }
        ).encode()
        return _digest(self.manifest)

    def secret(self, name: str, login: str, password: str = "") -> dict[str, Any]:
        """A pull secret for this registry."""
        entry = {"auth": base64.b64encode(f"{login}:{password or self.logins[login]}".encode()).decode()}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps({"auths": {self.address: entry}})},
        }

    def lets_in(self, header: str) -> bool:
        """Whether an Authorization header opens it."""
        if not self.logins:
            return True
        name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return bool(name) and self.logins.get(name) == password


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def registry(**logins: str) -> Iterator[Registry]:
    """A registry that runs."""
    made = Registry(logins=logins)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_HEAD(self) -> None:
            self._serve()

        def log_message(self, *_arguments: Any) -> None:
            """Nothing."""

        def _serve(self) -> None:
            if not made.lets_in(self.headers.get("Authorization", "")):
                self._answer(401, "application/json", b'{"errors":[{"code":"UNAUTHORIZED"}]}')
                return
            *_, kind, reference = ("", "", *self.path.split("/"))
            if self.path == "/v2/":
                self._answer(200, "application/json", b"{}")
            elif kind == "manifests":
                made.pulls += 1
                self._answer(200, MANIFEST, made.manifest)
            elif kind == "blobs" and reference in made.blobs:
                self._answer(200, "application/octet-stream", made.blobs[reference][1])
            else:
                self._answer(404, "application/json", b'{"errors":[{"code":"NAME_UNKNOWN"}]}')

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            if code == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if kind == MANIFEST:
                self.send_header("Docker-Content-Digest", _digest(body))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.address = f"127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name="registry")
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
