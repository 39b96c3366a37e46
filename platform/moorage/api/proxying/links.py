"""Links in the HTML of a pod: absolute paths get the proxy's prefix, as kube-apiserver's ``proxyutil.Transport`` does."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

LONGEST_TAG = 4 * 1024
"""Bytes of a tag that are looked through; a longer one goes through as it is."""

_LINKS = {
    b"a": b"href", b"applet": b"codebase", b"area": b"href", b"audio": b"src", b"base": b"href", b"blockquote": b"cite",
    b"body": b"background", b"button": b"formaction", b"command": b"icon", b"del": b"cite", b"embed": b"src",
    b"form": b"action", b"frame": b"longdesc src", b"head": b"profile", b"html": b"manifest", b"iframe": b"longdesc src",
    b"img": b"longdesc src usemap", b"input": b"src usemap formaction", b"ins": b"cite", b"link": b"href",
    b"object": b"classid codebase data usemap", b"q": b"cite", b"script": b"src", b"source": b"src", b"video": b"poster src",
}  # fmt: skip
_RAW = {name: re.compile(rb"</" + name, re.IGNORECASE) for name in (b"script", b"style", b"textarea", b"title")}
"""Elements whose content has no tags, and how they end."""
_LONGEST_END = len("</textarea")
_OPEN = re.compile(rb"<")
_NAME = re.compile(rb"<([a-zA-Z][a-zA-Z0-9]*)")
_TAG = re.compile(rb"""<[a-zA-Z][^>"']*+(?:(?:"[^"]*+"|'[^']*+')[^>"']*+)*+>""")
_ATTRIBUTE = re.compile(rb"""([\s"'])([a-zA-Z]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""")


class Rewriter:
    """HTML in pieces through ``feed``; ``finish`` gives what is left."""

    def __init__(self, rewrite: Callable[[str], str]) -> None:
        self._rewrite = rewrite
        self._held = b""
        self._next = _OPEN

    def feed(self, data: bytes) -> bytes:
        """What can be told of the text so far."""
        text, self._held = self._held + data, b""
        done: list[bytes] = []
        position = 0
        while position < len(text):
            found = self._next.search(text, position)
            if found is None:
                keep = 0 if self._next is _OPEN else _LONGEST_END
                end = max(position, len(text) - keep)
                done.append(text[position:end])
                self._held = text[end:]
                break
            done.append(text[position : found.start()])
            self._next = _OPEN
            tag = _tag(text, found.start())
            if not tag:
                self._held = text[found.start() :]
                break
            done.append(self._changed(tag))
            position = found.start() + len(tag)
        return b"".join(done)

    def finish(self) -> bytes:
        """The rest, as it is."""
        rest, self._held = self._held, b""
        return rest

    def _changed(self, tag: bytes) -> bytes:
        match = _NAME.match(tag)
        if match is None or not tag.endswith(b">"):
            return tag
        name = match[1].lower()
        self._next = _RAW.get(name, _OPEN)
        links = _LINKS.get(name, b"").split()

        def change(found: re.Match[bytes]) -> bytes:
            before, attribute, equals, value = found.groups()
            if attribute.lower() not in links:
                return found[0]
            mark = value[:1] if value[:1] in (b'"', b"'") else b""
            link = html.unescape((value[1:-1] if mark else value).decode("utf-8", "surrogateescape"))
            changed = self._rewrite(link)
            if changed == link:
                return found[0]
            written = html.escape(changed).encode("utf-8", "surrogateescape")
            return bytes(before + attribute + equals + (mark or b'"') + written + (mark or b'"'))

        return _ATTRIBUTE.sub(change, tag)


def _tag(text: bytes, start: int) -> bytes:
    """The tag or comment at ``start``, "" where its end is still to come. What is none is its "<"; what is too long, its
    beginning, so that no byte is looked at often.
    """
    head = text[start : start + 4]
    comment = head == b"<!--"
    if comment:
        end = text.find(b"-->", start, start + LONGEST_TAG)
        if end >= 0:
            return text[start : end + 3]
    elif _NAME.match(head):
        match = _TAG.match(text, start, start + LONGEST_TAG)
        if match is not None:
            return match[0]
    elif len(head) == 4 or not b"<!--".startswith(head):
        return b"<"
    return text[start : start + LONGEST_TAG] if len(text) - start >= LONGEST_TAG else b""
