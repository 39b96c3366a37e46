"""A node joins a real installation: its token is used once, its credential is its own and is renewed."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.client.errors import ApiError
from moorage_agent.joining import FILE, Credential, given_by, over_the_api
from tests.support.installation import MOORAGE, Installation, moorage
from tests.support.rest import Rest
from tests.support.wait import until

TOKENS = "/apis/moorage.io/v1/tokens"
NODES = "/api/v1/nodes"


@pytest.fixture
def admin(installation: Installation) -> Iterator[Rest]:
    """The API as administrator."""
    made = Rest(installation)
    yield made
    made.close()


def _join_token(admin: Rest, node: str) -> str:
    made = admin.create(TOKENS, {"spec": {"node": node}})
    assert made["spec"]["expiresAt"]
    token: str = made["status"]["token"]
    return token


def _ca(installation: Installation) -> str:
    return (installation.data_dir / "pki" / "ca.crt").read_text()


async def test_a_join_token_is_used_once_and_the_credential_renewed(
    installation: Installation, admin: Rest, tmp_path: Path
) -> None:
    """The join token itself opens nothing; the credential is the node's, and each renewal is another one."""
    node = f"joined-{secrets.token_hex(4)}"
    token, exchange = _join_token(admin, node), over_the_api(installation.url, _ca(installation))
    assert installation.request("GET", f"{NODES}/{node}", token)[0] == 401
    credential = Credential(tmp_path / "data", given_by(None, token), exchange)
    file = await credential.obtain()
    assert file == tmp_path / "data" / FILE
    first = file.read_text()
    code, body = installation.request("GET", f"{NODES}/{node}", first)
    assert code == 404, body
    assert installation.request("GET", f"{NODES}/other", first)[0] == 403
    with pytest.raises(ApiError, match="each joins one node once") as refused:
        await Credential(tmp_path / "thief", given_by(None, token), exchange).obtain()
    assert refused.value.code == 401
    assert await Credential(tmp_path / "data", given_by(None, token), exchange).obtain() == file
    second = file.read_text()
    assert second != first
    for each in (first, second):  # the one before is good for what is under way
        assert installation.request("GET", f"{NODES}/{node}", each)[0] == 404
    rows = [row for row in admin.get(TOKENS)["items"] if row["spec"]["user"] == f"system:node:{node}"]
    assert sorted((row["spec"]["kind"], row["status"]["state"]) for row in rows) == [
        ("join", "used"), ("node", "valid"), ("node", "valid"),
    ]  # fmt: skip


async def test_revoking_ends_a_node(installation: Installation, admin: Rest, tmp_path: Path) -> None:
    """What an administrator takes away is refused within seconds, and cannot be renewed."""
    node = f"lost-{secrets.token_hex(4)}"
    exchange = over_the_api(installation.url, _ca(installation))
    file = await Credential(tmp_path, given_by(None, _join_token(admin, node)), exchange).obtain()
    assert file is not None
    for row in admin.get(TOKENS)["items"]:
        if row["spec"]["user"] == f"system:node:{node}" and row["spec"]["kind"] == "node":
            admin.delete(f"{TOKENS}/{row['metadata']['name']}")
    held = file.read_text()
    await until(lambda: installation.request("GET", f"{NODES}/{node}", held)[0] == 401, timeout=30)
    with pytest.raises(ApiError) as refused:
        await exchange(held, hashlib.sha256(b"another").hexdigest())
    assert refused.value.code == 401


@contextlib.contextmanager
def _running(line: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.docker
async def test_an_agent_joins_by_its_token_alone(installation: Installation, admin: Rest, tmp_path: Path) -> None:
    """It finds the CA by the hash in the token, takes a credential of its own, and its node becomes ready."""
    node, token_file = f"joins-{secrets.token_hex(4)}", tmp_path / "token"
    token_file.write_text(_join_token(admin, node))
    line = [MOORAGE, "agent", "--server", installation.url, "--token-file", str(token_file)]
    line += ["--node", node, "--data-dir", str(tmp_path / "data")]
    with _running(line, tmp_path / "log") as agent:

        def ready() -> bool:
            assert agent.poll() is None, (tmp_path / "log").read_text()
            found = admin.request("GET", f"{NODES}/{node}")
            status = found.document.get("status", {}) if found.code == 200 else {}
            conditions = status.get("conditions", ())
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        await until(ready, timeout=60)
        assert (tmp_path / "data" / FILE).stat().st_mode & 0o777 == 0o600
    admin.delete(f"{NODES}/{node}")
    removed = moorage("remove", "--yes", "--data-dir", str(tmp_path / "data"))
    assert removed.code == 0, removed.err
