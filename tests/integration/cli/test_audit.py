"""``moorage audit`` against a server with a real audit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from typer.testing import CliRunner

from moorage.cli.audit import rows as shown
from moorage.cli.main import app
from tests.support.access import RunningAccess
from tests.support.audited import audited
from tests.support.certificates import Certificates

PLACE = "/api/v1/namespaces/default/configmaps"


@dataclass(frozen=True)
class User:
    """An administrator with a kubeconfig."""

    server: RunningAccess
    directory: Path
    database_url: str

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """``moorage audit ...``: code, stdout, stderr."""
        await self.server.api.store.audit_chain.flush()
        environment = {"KUBECONFIG": str(self.directory / "kubeconfig"), "MOORAGE_DATA_DIR": None}
        result = await asyncio.to_thread(CliRunner().invoke, app, ["audit", *arguments], env=environment)
        return result.exit_code, result.stdout, result.stderr

    async def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """The rows that are shown as JSON."""
        code, out, err = await self.run(*arguments, "-o", "json")
        assert code == 0, err
        rows: list[dict[str, Any]] = json.loads(out)
        return rows


@pytest.fixture
async def user(database_url: str, certificates: Certificates, tmp_path: Path) -> AsyncIterator[User]:
    async with audited(database_url, certificates) as server:
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(server.api.kubeconfig()))
        yield User(server, tmp_path, database_url)


async def test_rows_are_filtered_shown_and_verified(user: User) -> None:
    for name in ("a", "b"):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        assert (await user.server.call("admin-token", "POST", PLACE, body))[0] == 201
    assert (await user.server.call("eve", "DELETE", f"{PLACE}/a"))[0] == 403
    about = ("--resource", "configmaps", "-n", "default")
    refused, second, first = await user.rows(*about)
    assert [each["name"] for each in (first, second, refused)] == ["a", "b", "a"]
    assert await user.rows(*about, "--outcome", "refused") == [refused]
    assert await user.rows(*about, "--outcome", "allowed", "--limit", "0") == [second, first]
    assert await user.rows("--user", "eve") == [refused]
    assert await user.rows("--verb", "delete", "--name", "a") == [refused]
    assert await user.rows("--revision", first["revision"]) == [first]
    assert await user.rows(*about, "--until", first["time"]) == []
    assert await user.rows(*about, "--since", second["time"]) == [refused, second]
    assert await user.rows(*about, "--limit", "1") == [refused]
    code, out, _ = await user.run(*about, "-o", "yaml")
    assert (code, yaml.safe_load(out)) == (0, [refused, second, first])
    code, out, _ = await user.run(*about)
    assert [line.split()[0] for line in out.splitlines()] == [
        "TIME",
        *(each["time"][:19] + "Z" for each in (refused, second, first)),
    ]
    assert "no (403)" in out
    assert (await user.run("--name", "nothing"))[1] == "nothing was found\n"

    code, out, _ = await user.run("verify")
    assert code == 0
    assert out.startswith("the audit is whole: ")
    head = out.split("head: ")[1].strip()
    assert json.loads((await user.run("verify", "--head", head, "-o", "json"))[1])["problems"] == []
    with psycopg.connect(user.database_url, autocommit=True) as plain:
        plain.execute("ALTER TABLE audit DISABLE TRIGGER ALL")
        plain.execute("UPDATE audit SET actor = 'mallory' WHERE resource = 'configmaps' AND name = 'b'")
    code, out, _ = await user.run("verify")
    assert code == 1
    assert "the audit is broken in 1 of" in out
    assert f"row {second['seq']}" in out
    code, out, _ = await user.run("verify", "-o", "json")
    assert (code, json.loads(out)["problems"][0]["seq"]) == (1, second["seq"])


BAD = [
    (["-o", "xml"], '--output "xml" must be one of table, json, yaml'),
    (["--outcome", "maybe"], '--outcome "maybe" must be one of allowed, refused'),
    (["--since", "yesterday"], '--since "yesterday" must be a duration like 2h or 7d'),
    (["--revision", "x"], 'revision: "x" must be a number'),
    (["verify", "--head", "1:2"], 'head: "1:2" must be the head of an earlier report'),
]


async def test_what_is_not_understood_is_refused_with_the_remedy(user: User) -> None:
    for arguments, message in BAD:
        code, out, err = await user.run(*arguments)
        assert (code, out) == (1, "")
        assert message in err


async def test_following_shows_what_comes_as_lines_of_json(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "first"}}
    assert (await user.server.call("admin-token", "POST", PLACE, body))[0] == 201
    loop, waits = asyncio.get_running_loop(), 0

    def wait(_seconds: float) -> None:
        """Something happens meanwhile, and then the user has seen enough."""
        nonlocal waits
        waits += 1
        if waits > 1:
            raise KeyboardInterrupt
        later = {**body, "metadata": {"name": "later"}}
        asyncio.run_coroutine_threadsafe(user.server.call("admin-token", "POST", PLACE, later), loop).result(30)

    followed = shown.followed
    monkeypatch.setattr(shown, "followed", lambda ask, filters, limit: followed(ask, filters, limit, wait))
    code, out, err = await user.run("--follow", "--resource", "configmaps", "-n", "default", "-o", "json")
    assert (code, err) == (0, "")
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["first", "later"]
