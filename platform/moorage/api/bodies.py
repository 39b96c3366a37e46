"""Bodies of writes: read once, given out as often as a plan is made again."""

from __future__ import annotations

from collections.abc import Callable

from moorage.api.config import MAX_BODY
from moorage.api.decode import Decoded, decode_object
from moorage.api.options import Strictness
from moorage.api.request import Request
from moorage.resources.kind import Document, Kind


class Body:
    """A decoded body. Plans change the document that they get, so each but the first gets a newly decoded one."""

    def __init__(self, decode: Callable[[], Decoded], warnings: list[str]) -> None:
        self._decode = decode
        first = decode()
        warnings.extend(first.warnings)
        self._first: Document | None = first.document
        self.name: str = _name(first.document)

    def __call__(self) -> Document:
        """The document, for the caller to change."""
        document, self._first = self._first, None
        return self._decode().document if document is None else document


async def object_body(request: Request, kind: Kind, strictness: Strictness) -> Body:
    """The body as an object of ``kind``. Raises ApiError 400, 413, 415."""
    raw = await request.body(MAX_BODY)
    content_type = request.header(b"content-type")
    return Body(lambda: decode_object(raw, content_type, kind, strictness), request.warnings)


def _name(document: Document) -> str:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""
