"""An OpenID issuer that lies as it is told: documents by path over TLS, and a list of what was asked for."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.attacks.forgery import Signer
from tests.support.certificates import Certificates


@dataclass
class Issuer:
    """The issuer at ``url``. ``documents``: what each path answers, JSON or (code, headers)."""

    url: str
    elsewhere: str
    """The same server by a name that is none of the issuer's."""
    signer: Signer
    documents: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def publish(self, **metadata: Any) -> None:
        """Discovery and keys as a good issuer has them, but for ``metadata``."""
        self.documents["/.well-known/openid-configuration"] = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
            **metadata,
        }
        self.documents["/keys"] = {"keys": [self.signer.public_jwk()]}


@contextmanager
def lying_issuer(certificates: Certificates) -> Iterator[Issuer]:
    """A running one."""
    made: list[Issuer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer = made[0]
            issuer.asked.append(f"{self.headers['Host'].partition(':')[0]}{self.path}")
            found = issuer.documents.get(self.path)
            code, headers = found if isinstance(found, tuple) else (404 if found is None else 200, {})
            body = b"" if found is None or isinstance(found, tuple) else json.dumps(found).encode()
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    port = server.server_port
    made.append(Issuer(f"https://127.0.0.1:{port}", f"https://localhost:{port}", Signer.new("key-1")))
    made[0].publish()
    thread = threading.Thread(target=server.serve_forever, name="issuer")
    thread.start()
    try:
        yield made[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
