"""The beginning of a push's body, read before Git sees it: the commands, the push options and the pack's header.

Format (gitprotocol-pack): command pkt-lines, flush; where push-options were agreed, option pkt-lines, flush; then the
pack: ``PACK``, version and number of objects, four bytes each.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from moorage_gitops.host.config import GitLimits
from moorage_gitops.host.git import pktline
from moorage_gitops.host.git.refs import ZERO

MAX_HEAD = 4 << 20
"""Bytes of commands and options."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BadPush(Exception):
    """A push that Git need not see. ``refs`` are the refs to refuse in the report."""

    def __init__(self, message: str, refs: list[str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.refs = refs or []


@dataclass(frozen=True, slots=True)
class PushHead:
    """``data`` is what was read so far, to be handed to Git first.

    A ``probe`` is the empty request by which Git tests whether it may send.
    """

    data: bytes
    refs: list[str]
    options: list[str]
    probe: bool = False


async def read_head(body: AsyncIterator[bytes], limits: GitLimits) -> PushHead:
    """Read until the pack's header. Raises BadPush."""
    data = bytearray()
    async for chunk in body:
        data += chunk
        head = _parse(bytes(data), limits)
        if head is not None:
            return head
        if len(data) > MAX_HEAD:
            raise BadPush("too many refs in one push; push fewer branches and tags at a time")
    head = _parse(bytes(data), limits, complete=True)
    if head is None:
        raise BadPush("the request ends too early")
    return head


def _parse(data: bytes, limits: GitLimits, *, complete: bool = False) -> PushHead | None:
    try:
        section = pktline.section(data, 0)
        if section is None:
            return None
        lines, at = section
        if not lines:
            return PushHead(data, [], [], probe=True)
        capabilities = {word for line in lines for word in line.partition(b"\0")[2].split()}
        commands = [line for line in lines if not line.startswith(b"shallow ")]
        refs = [
            command.partition(b"\0")[0].decode(errors="replace").split(" ", 2)[-1].rstrip("\n") for command in commands
        ]
        if any(_CONTROL.search(ref) for ref in refs):
            # Hooks are told of refs by lines: one with a line feed would keep them waiting for another.
            raise BadPush("a ref's name must not contain control characters", [])
        if len(commands) > limits.commands:
            raise BadPush(f"{len(commands)} refs in one push; {limits.commands} is the limit", refs)
        options: list[bytes] = []
        if b"push-options" in capabilities:
            section = pktline.section(data, at)
            if section is None:
                return None
            options, at = section
    except pktline.ProtocolError as error:
        raise BadPush(f"not a push: {error}") from None
    pack = data[at : at + 12]
    if len(pack) < 12 and not complete and not _deletes_only(commands):
        return None
    count = int.from_bytes(pack[8:12], "big")
    if pack[:4] == b"PACK" and count > limits.pack_objects:
        raise BadPush(
            f"{count} Git objects in one push; {limits.pack_objects} is the limit. Push the history in parts", refs
        )
    return PushHead(data, refs, [option.decode(errors="replace") for option in options])


def _deletes_only(commands: list[bytes]) -> bool:
    """No pack follows where every command is a deletion."""
    return all(command[41:81] == ZERO.encode() for command in commands)
