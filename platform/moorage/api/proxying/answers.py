"""A pod's HTTP answer, read piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httptools

from moorage.api.asgi import Header

PIECE = 64 * 1024
LONGEST_HEAD = 64 * 1024
"""Bytes of headers: a pod is not trusted with our memory."""


class Broken(Exception):
    """What the pod says is no HTTP, or ends too early."""


class Answer:
    """One answer. ``head`` first, then iterate over the body."""

    def __init__(self, reader: asyncio.StreamReader, *, bodiless: bool) -> None:
        self._reader = reader
        self._bodiless = bodiless
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._begun = self._complete = self._framed = False
        self.code = 0
        self.headers: list[Header] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has read a header; one after the body (RFC 9112, 7.1.2) is dropped."""
        if self._begun:
            return
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The parser has read the headers; those of interim answers (RFC 9110, 15.2) are forgotten."""
        self.code = self._parser.get_status_code()
        if self.code < 200:
            self.headers = []
            return
        self._begun = True
        self._framed = any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def on_body(self, data: bytes) -> None:
        """The parser has read a piece of the body."""
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The parser has come to the end of an answer."""
        self._complete = self._begun

    async def head(self) -> None:
        """Read until ``code`` and ``headers`` are there. Raises Broken, OSError."""
        size = 0
        while not self._begun:
            data = await self._reader.read(PIECE)
            if not data:
                raise Broken("EOF")
            size += len(data)
            self._feed(data)
            if size > LONGEST_HEAD and not self._begun:
                raise Broken(f"the headers are longer than {LONGEST_HEAD} bytes")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The body. Raises Broken where it ends too early, OSError."""
        if self._bodiless:
            return
        said = 0
        while True:
            pieces, self._pieces = self._pieces, []
            if pieces:
                said = 0
            elif said > LONGEST_HEAD and not self._complete:
                raise Broken(f"there are more than {LONGEST_HEAD} bytes without a piece of the body")
            for piece in pieces:
                yield piece
            if self._complete:
                return
            data = await self._reader.read(PIECE)
            if data:
                said += len(data)
                self._feed(data)
            elif self._framed:
                raise Broken("unexpected EOF")
            else:
                return

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise Broken("the pod switches protocols, which was not asked for") from error
        except httptools.HttpParserError as error:
            if not self._complete:
                raise Broken(f"malformed HTTP response: {error}") from error
