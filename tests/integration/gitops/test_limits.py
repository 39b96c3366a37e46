"""Too much, too slow, gone in the middle: the request fails, nothing stays behind, the server goes on."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage_gitops.host.config import GitLimits
from tests.integration.gitops.conftest import add_namespace
from tests.integration.gitops.manifests import config_map
from tests.integration.gitops.rig import Rig, Work
from tests.support.wait import until

NOISE = random.Random(1).randbytes(600_000)


@pytest.fixture
async def tight(tmp_path: Path) -> AsyncIterator[Rig]:
    """A host that takes packs of 300 kB, for three seconds."""
    rig = Rig(tmp_path / "server", limits=GitLimits(pack_bytes=300_000, seconds=3))
    await rig.start()
    await add_namespace(rig, "shop")
    yield rig
    await rig.stop()


def packs(rig: Rig) -> list[str]:
    """Packs and quarantines on the server's disk."""
    objects = (rig.directory / "git").glob("*.git/objects")
    return [path.name for folder in objects for pattern in ("pack/*", "tmp_objdir-*") for path in folder.glob(pattern)]


async def test_a_pack_that_is_too_large(tight: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1"), "noise.bin": NOISE})

    pushed = await work.push(tight.url())

    assert "pack exceeds maximum allowed size" in pushed.err
    assert "! [remote rejected] HEAD -> main (unpacker error)" in pushed.err
    assert packs(tight) == []
    other = await Work(work.directory / "other").init()
    await other.commit({"a.yaml": config_map("a", k="1")})
    assert (await other.push(tight.url())).code == 0


async def send_half_a_push(
    rig: Rig, work: Work, name: str = "web"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The beginning of a request whose rest never comes."""
    commit = await work.commit({"a.yaml": config_map("a", k="1"), "noise.bin": NOISE[:100_000]})
    command = f"{'0' * 40} {commit} refs/heads/main\0report-status side-band-64k".encode()
    packed = (await run_bytes(work, "pack-objects", "--all", "--stdout", "-q"))[:50_000]
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    credentials = base64.b64encode(b"git:admin-token").decode()
    writer.write(
        f"POST /git/shop/{name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 120000\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 100")
    writer.write(b"%04x%b0000" % (len(command) + 4, command) + packed)
    await writer.drain()
    return reader, writer


async def run_bytes(work: Work, *arguments: str) -> bytes:
    """The output of a Git command as it is."""
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=work.directory, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output


async def test_a_client_that_goes_away(rig: Rig, work: Work) -> None:
    _, writer = await send_half_a_push(rig, work)
    await until(lambda: rig.names("gitops.moorage.io", "repositories") == ["web"])
    writer.close()
    await writer.wait_closed()

    await until(lambda: rig.names("gitops.moorage.io", "repositories") == [])

    assert packs(rig) == []
    assert rig.store.rows == {}
    assert (await work.push(rig.url())).code == 0


async def test_a_client_that_does_not_go_on(tight: Rig, work: Work) -> None:
    reader, writer = await send_half_a_push(tight, work)

    answer = await asyncio.wait_for(reader.read(), 30)

    writer.close()
    await writer.wait_closed()
    assert b" 200 " in answer or b" 408 " in answer
    await until(lambda: tight.names("gitops.moorage.io", "repositories") == [])
    assert packs(tight) == []


async def test_more_pushes_than_may_run_at_a_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "server", limits=GitLimits(receives=2, seconds=60))
    await rig.start()
    try:
        await add_namespace(rig, "shop")
        works = [await Work(tmp_path / f"w{i}").init() for i in range(6)]
        for index, work in enumerate(works):
            await work.commit({"a.yaml": config_map(f"a{index}", k="0")})
        pushed = await asyncio.gather(*(work.push(rig.url(f"shop/r{i}")) for i, work in enumerate(works)))
        assert [ran.code for ran in pushed] == [0] * 6
    finally:
        await rig.stop()


async def test_pushes_that_do_not_go_on_hold_up_nobody_but_their_own_user(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "server", limits=GitLimits(receives=4, receives_each=2, patience=1, seconds=60))
    await rig.start()
    try:
        await add_namespace(rig, "shop")
        held = [await send_half_a_push(rig, await Work(tmp_path / f"w{i}").init(), f"slow{i}") for i in range(2)]
        work = await Work(tmp_path / "work").init()
        await work.commit({"a.yaml": config_map("a", k="0")})
        assert (await work.push(rig.url("shop/other", "shop-token"))).code == 0
        refused = await work.push(rig.url("shop/mine", "admin-token"))
        assert "429" in refused.err
        for _reader, writer in held:
            writer.close()
            await writer.wait_closed()
        await until(lambda: rig.names("gitops.moorage.io", "repositories") == ["other"])
        assert (await work.push(rig.url("shop/other", "admin-token"))).code == 0
    finally:
        await rig.stop()
