"""pkt-lines, the head of a push, and the report that the pusher reads."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage_gitops.host.config import GitLimits
from moorage_gitops.host.git import pktline
from moorage_gitops.host.http import head, status

OLD, NEW = "0" * 40, "b" * 40
DECLINED = " pre-receive hook declined"


async def chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def push(
    *refs: str, capabilities: str = "report-status push-options", options: tuple[str, ...] = (), pack: bytes = b""
) -> bytes:
    lines = b""
    for index, ref in enumerate(refs):
        tail = f"\0{capabilities}" if index == 0 else ""
        lines += pktline.line(f"{OLD} {NEW} {ref}{tail}".encode())
    lines += pktline.FLUSH
    if "push-options" in capabilities:
        lines += b"".join(pktline.line(option.encode()) for option in options) + pktline.FLUSH
    return lines + pack


PACK = b"PACK\0\0\0\2\0\0\0\7" + b"x" * 100


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_the_head_is_read_however_it_is_cut(size: int) -> None:
    data = push("refs/heads/main", "refs/tags/v1", options=("wait", "dry-run"), pack=PACK)
    body = chunks(data, size)

    found = await head.read_head(body, GitLimits())

    assert found.refs == ["refs/heads/main", "refs/tags/v1"]
    assert found.options == ["wait", "dry-run"]
    assert found.data + b"".join([chunk async for chunk in body]) == data


async def test_shallow_lines_are_no_commands() -> None:
    data = pktline.line(b"shallow " + NEW.encode()) + push("refs/heads/main", pack=PACK)

    assert (await head.read_head(chunks(data, 1000), GitLimits())).refs == ["refs/heads/main"]


async def test_a_deletion_has_no_pack() -> None:
    data = pktline.line(f"{NEW} {OLD} refs/heads/x\0report-status".encode()) + pktline.FLUSH

    assert (await head.read_head(chunks(data, 5), GitLimits())).refs == ["refs/heads/x"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (push("refs/heads/main", pack=b"PACK\0\0\0\2\0\1\0\0"), "65536 Git objects in one push; 100 is the limit"),
        (push(*(f"refs/heads/{i}" for i in range(9)), pack=PACK), "9 refs in one push; 5 is the limit"),
        (push("refs/heads/a\nb", pack=PACK), "control characters"),
        (b"zzzz", "not a push"),
        (push("refs/heads/main")[:30], "ends too early"),
    ],
)
async def test_what_git_need_not_see(data: bytes, words: str) -> None:
    with pytest.raises(head.BadPush) as caught:
        await head.read_head(chunks(data, 1000), GitLimits(pack_objects=100, commands=5))

    assert words in caught.value.message


async def test_endless_commands_are_refused() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield pktline.line(b"x" * 60_000)

    with pytest.raises(head.BadPush, match="too many refs"):
        await head.read_head(endless(), GitLimits())


@given(st.lists(st.none() | st.binary(max_size=50)), st.integers(0, 3))
def test_packets_survive_the_wire(packets: list[bytes | None], missing: int) -> None:
    data = b"".join(pktline.FLUSH if packet is None else pktline.line(packet) for packet in packets)

    assert pktline.split(data) == (packets, len(data))
    if packets and missing:
        shorter, _ = pktline.split(data[:-missing])
        assert shorter == packets[: len(shorter)]
        assert len(shorter) == len(packets) - 1


def test_too_long_a_packet_is_refused() -> None:
    with pytest.raises(pktline.ProtocolError):
        pktline.line(b"x" * 65517)


def report(*lines: str) -> bytes:
    inner = b"".join(pktline.line(f"{line}\n".encode()) for line in lines) + pktline.FLUSH
    return pktline.band(1, inner) + pktline.FLUSH


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_the_reason_takes_the_place_of_git_s_words(size: int) -> None:
    completer = status.Completer(lambda ref: f"because of {ref}\nand more" if ref.endswith("main") else "")
    data = pktline.band(2, b"progress\n") + report(
        "unpack ok", f"ng refs/heads/main{DECLINED}", f"ng refs/heads/x{DECLINED}"
    )

    progress = b"".join(completer.feed(data[at : at + size]) for at in range(0, len(data), size))

    assert progress == pktline.band(2, b"progress\n")
    assert completer.report() == report(
        "unpack ok", "ng refs/heads/main because of refs/heads/main", f"ng refs/heads/x{DECLINED}"
    )


def test_other_reports_are_passed_on_whole() -> None:
    completer = status.Completer(lambda _ref: "")
    data = report("unpack ok", "ok refs/heads/main")

    assert completer.feed(data) == b""
    assert completer.report() == data


def test_an_answer_without_side_bands_is_passed_on() -> None:
    completer = status.Completer(lambda _ref: "reason")
    data = pktline.line(b"unpack ok\n") + pktline.line(b"ok refs/heads/main\n") + pktline.FLUSH

    assert completer.feed(data) + completer.report() == data


def test_a_reason_is_one_line_without_control_characters() -> None:
    assert status.one_line("a\x1b[31mb\nc") == "a [31mb"
    assert len(status.one_line("x" * 1000)) == 300
    assert status.one_line("") == "refused"
