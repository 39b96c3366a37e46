"""Who may do what with a repository, and what the terminal says to those who may not."""

from __future__ import annotations

import zlib

import aiohttp
import pytest

from tests.integration.gitops.conftest import add_namespace
from tests.integration.gitops.manifests import config_map
from tests.integration.gitops.rig import Rig, Work

BASE = "http://127.0.0.1:{port}/git/shop/web.git"


async def request(
    rig: Rig,
    method: str,
    path: str,
    token: str = "admin-token",
    data: bytes | None = None,
    given: dict[str, str] | None = None,
) -> tuple[int, str, dict[str, str]]:
    """One HTTP request."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= given or {}
    url = f"http://127.0.0.1:{rig.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, data=data) as answer:
        return (
            answer.status,
            await answer.text(errors="replace"),
            {name.lower(): value for name, value in answer.headers.items()},
        )


async def test_without_a_token_git_is_asked_for_one(rig: Rig, work: Work) -> None:
    status, _, headers = await request(rig, "GET", "/git/shop/web.git/info/refs?service=git-upload-pack", token="")

    assert status == 401
    assert headers["www-authenticate"].startswith("Basic realm=")


async def test_a_wrong_token_is_refused(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})

    pushed = await work.push(rig.url(token="stolen"))

    assert "Authentication failed" in pushed.err
    assert rig.names("gitops.moorage.io", "repositories") == []


async def test_a_bearer_token_does_too(rig: Rig) -> None:
    path = "/git/shop/web.git/info/refs?service=git-receive-pack"

    assert (await request(rig, "GET", path, token="shop-token"))[0] == 200


async def test_another_team_may_neither_read_nor_push(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    assert (await work.push(rig.url(token="shop-token"))).code == 0

    read = await work.git("ls-remote", rig.url(token="other-token"), check=False)
    pushed = await work.push(rig.url(token="other-token"))

    assert (
        'remote: forbidden: user "team:other" may not get repositories.gitops.moorage.io "web" in namespace "shop"'
        in read.err
    )
    assert "may not create repositories.gitops.moorage.io/push" in pushed.err
    assert any(not decision.allowed and asked.subresource == "push" for asked, decision in rig.records.records)


async def test_whether_a_repository_exists_is_not_told_to_strangers(rig: Rig) -> None:
    answers = [
        (await request(rig, "GET", f"/git/shop/{name}.git/info/refs?service=git-upload-pack", token="other-token"))[0]
        for name in ("web", "missing")
    ]

    assert answers == [403, 403]


async def test_a_missing_namespace_says_how_to_make_it(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})

    pushed = await work.push(rig.url("nowhere/web"))

    assert 'remote: namespace "nowhere" does not exist. Create it and push again:' in pushed.err
    assert "kubectl create namespace nowhere" in pushed.err


async def test_a_missing_repository_says_how_to_make_it(rig: Rig, work: Work) -> None:
    fetched = await work.git("ls-remote", rig.url("shop/missing"), check=False)

    assert 'remote: repository "missing" does not exist in namespace "shop". The first push creates it' in fetched.err


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/git/shop/web.git/HEAD", 404),
        ("GET", "/git/shop/web.git/objects/info/packs", 404),
        ("GET", "/git/shop/../web.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/shop/%2e%2e/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/shop/-x.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/Shop/web.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/shop/web.git/info/refs", 403),
        ("GET", "/git/shop/web.git/info/refs?service=git-upload-archive", 403),
        ("GET", "/git/shop/web.git/git-receive-pack", 405),
        ("POST", "/git/shop/web.git/info/refs?service=git-upload-pack", 405),
        ("GET", "/git/", 404),
    ],
)
async def test_odd_requests_are_refused(rig: Rig, method: str, path: str, status: int) -> None:
    answer = await request(rig, method, path)

    assert answer[0] == status, answer


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"hello world, this is no push", {}, "not a pkt-line length"),
        (b"0001", {}, "reserved pkt-line length"),
        (b"0032abc", {}, "ends too early"),
        (b"", {}, "ends too early"),
        (zlib.compress(b"0000")[:5], {"Content-Encoding": "gzip"}, "gzip data"),
        (b"x", {"Content-Encoding": "br"}, "is not understood"),
    ],
)
async def test_broken_pushes_are_refused(rig: Rig, body: bytes, headers: dict[str, str], words: str) -> None:
    _, text, _ = await request(rig, "POST", "/git/shop/web.git/git-receive-pack", data=body, given=headers)

    assert words in text
    assert rig.names("gitops.moorage.io", "repositories") == []


async def test_the_probe_of_a_large_push_is_answered(rig: Rig) -> None:
    status, text, _ = await request(rig, "POST", "/git/shop/web.git/git-receive-pack", data=b"0000")

    assert (status, text) == (200, "")
    assert rig.names("gitops.moorage.io", "repositories") == []


async def test_too_many_objects_are_refused_before_git_sees_them(rig: Rig) -> None:
    command = b"0" * 40 + b" " + b"a" * 40 + b" refs/heads/main\0report-status side-band-64k"
    body = b"%04x%b0000PACK\0\0\0\2\x7f\xff\xff\xff" % (len(command) + 4, command)

    _, text, _ = await request(rig, "POST", "/git/shop/web.git/git-receive-pack", data=body)

    assert "2147483647 Git objects in one push; 500000 is the limit" in text


async def test_the_disk_is_not_reached_by_a_name(rig: Rig, work: Work) -> None:
    await add_namespace(rig, "git")
    for name in ("git/home", "git/hooks", "shop/empty-repository"):
        await work.commit({"a.yaml": config_map(name.replace("/", "-"), k="1")})
        pushed = await work.push(rig.url(name))
        assert pushed.code == 0, pushed.err
    assert len(list((rig.directory / "git").glob("*.git"))) == 4
