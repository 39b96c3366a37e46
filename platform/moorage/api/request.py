"""One HTTP request to the resource verbs, as far as it has been understood."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from moorage.api import asgi
from moorage.api.asgi import Header
from moorage.api.contracts import Client, Identity, Standing
from moorage.api.decode import warning_header
from moorage.api.entrance import client_of
from moorage.api.options import Query
from moorage.resources.kind import Kind

_PROCESS = uuid.uuid4().hex[:20]
_COUNTER = itertools.count(1)


def new_request_id() -> str:
    """An id in the form of a UUID, unique among all requests: this process' random part and a counter."""
    text = f"{_PROCESS}{next(_COUNTER):012x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def request_id_of(scope: Scope) -> str:
    """The id of a request to an endpoint beside the resource verbs: the same for all that is written of it."""
    return str(scope.setdefault("moorage.request_id", new_request_id()))


@dataclass(slots=True)
class Request:
    """What the steps of the pipeline add to a request. ``code`` is the answer's, once there is one."""

    scope: Scope
    receive: Receive
    send: Send
    headers: dict[bytes, bytes]
    query: Query
    identity: Identity
    kind: Kind
    verb: str
    namespace: str
    name: str
    subresource: str
    id: str = field(default_factory=new_request_id)
    started: float = field(default_factory=time.perf_counter)
    code: int = 0
    warnings: list[str] = field(default_factory=list)
    flow_headers: Sequence[Header] = ()
    """Which FlowSchema and priority level the request was sorted into."""
    standing: Standing | None = None
    """The right that the answer stands on, where it lasts."""

    @property
    def client(self) -> Client:
        """Where it came from."""
        return client_of(self.scope, self.headers)

    def header(self, name: bytes) -> str:
        """A header's value, "" where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises ApiError 413 past ``limit`` bytes."""
        return await asgi.read_body(self.headers, self.receive, limit)

    def answer_headers(self) -> list[Header]:
        """The request's id and the warnings collected so far (RFC 7234, code 299)."""
        warnings = [(b"warning", warning_header(text).encode("ascii", "replace")) for text in self.warnings]
        return [(b"audit-id", self.id.encode()), *self.flow_headers, *warnings]

    async def respond(self, code: int, body: bytes, content_type: bytes = asgi.JSON) -> None:
        """Answer with ``body`` whole."""
        self.code = code
        await asgi.respond(self.send, code, body, content_type, self.answer_headers())
