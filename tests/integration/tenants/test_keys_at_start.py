"""Where a server takes its key-encryption key from, as processes: a file, the environment, a KMS; and what it says without."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from ssl import create_default_context

import aiohttp
import pytest

from moorage_tenants.sealing.kek import new_kek
from tests.support.certificates import Certificates
from tests.support.installation import free_port
from tests.support.kms import kms
from tests.support.wait import until

TOKEN = "token-of-an-administrator"
SECRETS = "/api/v1/namespaces/default/secrets"
REFUSED = 78
"""EX_CONFIG: what a supervisor does not start again."""


@dataclass
class Starts:
    """Starts of ``moorage server`` on one database."""

    database_url: str
    certificates: Certificates
    folder: Path
    last_words: str = ""

    @contextlib.asynccontextmanager
    async def server(
        self, *options: str, **environment: str
    ) -> AsyncIterator[tuple[aiohttp.ClientSession, int | None]]:
        """A server with a client, once it serves; or the code with which it has refused to start."""
        tokens = [{"sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "user": "admin", "groups": ["system:masters"]}]
        (self.folder / "tokens.json").write_text(json.dumps(tokens))
        port = free_port()
        command = [sys.executable, "-m", "moorage.cli", "server", "--listen", f"127.0.0.1:{port}"]
        command += ["--database-url", self.database_url, "--git-dir", str(self.folder / "git")]
        command += ["--tls-cert", str(self.certificates.certificate), "--tls-key", str(self.certificates.key)]
        command += ["--ca-cert", str(self.certificates.ca), "--bootstrap-tokens", str(self.folder / "tokens.json")]
        log = self.folder / "log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *command, *options, env={**os.environ, **environment}, stdout=out, stderr=out
            )
        connector = aiohttp.TCPConnector(ssl=create_default_context(cafile=str(self.certificates.ca)))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            async with aiohttp.ClientSession(
                f"https://127.0.0.1:{port}", headers=headers, connector=connector
            ) as client:
                await until(lambda: process.returncode is not None or _serves(client), timeout=60, every=0.2)
                yield client, process.returncode
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            self.last_words = log.read_text()


async def _serves(client: aiohttp.ClientSession) -> bool:
    try:
        async with client.get("/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def put(client: aiohttp.ClientSession, name: str, value: str) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"v": value}}
    async with client.post(SECRETS, json=body) as answer:
        assert answer.status == 201, await answer.text()


async def value(client: aiohttp.ClientSession, name: str) -> str:
    async with client.get(f"{SECRETS}/{name}") as answer:
        assert answer.status == 200, await answer.text()
        return base64.b64decode((await answer.json())["data"]["v"]).decode()


@pytest.fixture
def starts(database_url: str, certificates: Certificates, tmp_path: Path) -> Starts:
    return Starts(database_url, certificates, tmp_path)


async def test_a_key_comes_by_file_or_environment_and_another_one_is_refused(starts: Starts) -> None:
    key, other = new_kek(), new_kek()
    file = starts.folder / "kek"
    file.write_text(key)
    async with starts.server("--kek-file", str(file)) as (client, code):
        assert code is None, starts.last_words
        await put(client, "a", "kept")
    async with starts.server(MOORAGE_KEK=key) as (client, code):
        assert code is None
        assert await value(client, "a") == "kept"
        await put(client, "b", "too")
    # Another key, and none: a sentence, and nothing is served.
    for options, sentence in (
        ({"MOORAGE_KEK": other}, "which is not configured; put that key back among those that the server is given"),
        ({"MOORAGE_KEK": "canary-no-key"}, "MOORAGE_KEK must hold key-encryption keys of 64 hexadecimal digits"),
        ({}, "no key-encryption key: give --kek-file or --kms-socket"),
    ):
        async with starts.server(**options) as (_, code):
            assert code == REFUSED
        assert sentence in starts.last_words
        assert "Traceback" not in starts.last_words
        assert not [text for text in (key, other, "canary-no-key") if text.strip() in starts.last_words]
    # The right one beside the wrong one, in any order.
    file.write_text(other + key)
    async with starts.server("--kek-file", str(file)) as (client, code):
        assert code is None
        assert [await value(client, name) for name in ("a", "b")] == ["kept", "too"]


async def test_a_kms_keeps_the_key_and_is_needed_at_the_start(starts: Starts) -> None:
    with kms(starts.folder) as service:
        option = ("--kms-socket", str(service.socket))
        async with starts.server(*option) as (client, code):
            assert code is None, starts.last_words
            await put(client, "a", "kept")
            service.kill()
            await put(client, "b", "without it")
        async with starts.server(*option) as (_, code):
            assert code == REFUSED
        assert f"{service.socket} does not answer decrypt" in starts.last_words
        assert "Traceback" not in starts.last_words
    with kms(starts.folder) as service:
        async with starts.server("--kms-socket", str(service.socket)) as (client, code):
            assert code is None
            assert [await value(client, name) for name in ("a", "b")] == ["kept", "without it"]
        async with starts.server("--kms-socket", str(service.socket), MOORAGE_KEK=new_kek()) as (_, code):
            assert code == REFUSED
        assert "one of them keeps the key" in starts.last_words
