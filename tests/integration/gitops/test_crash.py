"""kill -9 of the server between the steps of a push: the next server shows the truth, and the same push can be repeated."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from tests.integration.gitops.hosted import serve_git
from tests.integration.gitops.manifests import config_map
from tests.integration.gitops.rig import Work
from tests.support.certificates import Certificates


@asynccontextmanager
async def doomed(
    database_url: str, certificates: Certificates, directory: Path, step: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A server process that kills itself at ``step``; gives its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.gitops.hosted",
        database_url,
        str(certificates.ca.parent),
        str(directory),
        step,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            url = (await process.stdout.readline()).decode().strip()
        assert url, "the server did not start"
        yield url.replace("https://", "https://git:admin-token@"), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("step", ["validated", "pack-durable", "committed", "ref-written"])
async def test_a_killed_server_leaves_all_or_nothing(
    database_url: str, certificates: Certificates, tmp_path: Path, work: Work, step: str
) -> None:
    directory = tmp_path / "git"
    await work.git("config", "http.sslCAInfo", str(certificates.ca))
    first = await work.commit({"a.yaml": config_map("a", k="1")})
    async with serve_git(database_url, certificates, directory) as hosted:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        async with hosted.api.client.post(
            "/api/v1/namespaces", data=orjson.dumps(namespace), headers={"Content-Type": "application/json"}
        ) as answer:
            assert answer.status == 201, await answer.text()
        assert (await work.push(hosted.url())).code == 0
    second = await work.commit({"a.yaml": config_map("a", k="2"), "b.yaml": config_map("b", k="2")})

    async with doomed(database_url, certificates, directory, step) as (url, process):
        pushed = await work.push(f"{url}/git/shop/web.git")
        assert pushed.code != 0, "the server was killed before it could answer"
        assert await process.wait() == -signal.SIGKILL

    done = step in ("committed", "ref-written")
    async with serve_git(database_url, certificates, directory) as hosted:
        shown = (await work.git("ls-remote", hosted.url(), "refs/heads/main")).out.split()[0]
        assert shown == (second if done else first)
        async with hosted.api.client.get("/api/v1/namespaces/shop/configmaps/a") as answer:
            assert (await answer.json())["data"] == {"k": "2" if done else "1"}
        async with hosted.api.client.get("/api/v1/namespaces/shop/configmaps/b") as answer:
            assert answer.status == (200 if done else 404)
        async with hosted.api.client.get("/apis/gitops.moorage.io/v1/namespaces/shop/applications/web") as answer:
            assert (await answer.json())["status"]["revision"] == shown

        again = await work.push(hosted.url())

        assert again.code == 0, again.err
        assert ("up-to-date" in again.err) == done
        third = await work.commit({"a.yaml": config_map("a", k="3")})
        assert (await work.push(hosted.url())).code == 0
        assert (await work.git("ls-remote", hosted.url(), "refs/heads/main")).out.split()[0] == third
        clone = await work.git(
            "clone", "-q", "-c", f"http.sslCAInfo={certificates.ca}", hosted.url(), str(tmp_path / "clone")
        )
        assert clone.code == 0
