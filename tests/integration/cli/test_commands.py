"""The command line: what it prints, what it refuses, and how fast it is there."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from moorage import __version__
from tests.support.installation import Installation, moorage
from tests.support.wait import until


def test_status_shows_the_parts(installation: Installation) -> None:
    found = json.loads(installation.do("status", "--output", "json"))
    assert found["ready"] is True
    assert {part["name"]: part["state"] for part in found["parts"]} == dict.fromkeys(
        ("postgres", "server", "controllers", "agent/test-node"), "ready"
    )
    assert found["nodes"] == [{"name": "test-node", "ready": True}]
    assert yaml.safe_load(installation.do("status", "-o", "yaml"))["server"] == installation.url
    table = installation.do("status")
    assert re.search(r"^PART +STATE +PID +RESTARTS +SINCE +MEMORY$", table, re.MULTILINE)
    assert f"API         {installation.url} (ready)" in table
    assert "xml" in installation.run("status", "-o", "xml").err


def test_status_of_nothing(tmp_path: Path) -> None:
    result = moorage("status", "--data-dir", str(tmp_path / "none"))
    assert result.code == 1
    assert "start it with: moorage up" in result.out


def test_logs_of_one_part(installation: Installation) -> None:
    lines = installation.do("logs", "--part", "server", "--tail", "-1").splitlines()
    assert lines
    shape = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z server +(DEBUG|INFO|WARNING|ERROR|CRITICAL) +\S.*")
    assert all(shape.fullmatch(line) for line in lines)
    assert any(f"serving 127.0.0.1:{installation.port}" in line for line in lines)
    assert "no log" in moorage("logs", "--data-dir", "/nonexistent").err
    misspelt = installation.run("logs", "--part", "sever")
    assert misspelt.code == 1
    assert '--part "sever": must be one of postgres, server' in misspelt.err


def test_what_is_not_there_is_named_with_what_to_do(installation: Installation) -> None:
    unknown = installation.run("tokens revoke", "none")
    assert (unknown.code, unknown.err.strip()) == (1, 'moorage: there is no token "none"; see: moorage tokens list')


def test_a_team_of_the_name_of_somebody_elses_tenant_is_refused(installation: Installation, tmp_path: Path) -> None:
    installation.do("tenants create", "taken", "--owner", "ann")
    file = tmp_path / "taken.kubeconfig"
    refused = installation.run("teams create", "taken", "--out", str(file))
    assert refused.code == 1
    assert 'the tenant "taken" exists and the group teams:taken does not own it' in refused.err
    assert not file.exists()
    installation.do("tenants invite", "taken", "teams:taken", "--group", "--owner")
    installation.do("teams create", "taken", "--out", str(file))
    assert file.exists()


def test_kubeconfig(installation: Installation) -> None:
    config = yaml.safe_load(installation.do("kubeconfig"))
    assert config["clusters"][0]["cluster"]["server"] == installation.url
    assert installation.do("kubeconfig", "--path") == str(installation.data_dir / "kubeconfig")
    assert (installation.data_dir / "kubeconfig").stat().st_mode & 0o777 == 0o600


def test_version() -> None:
    assert json.loads(moorage("version", "-o", "json").out)["moorage"] == __version__
    assert re.search(rf"^moorage +{re.escape(__version__)}$", moorage("version").out, re.MULTILINE)


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys; from moorage.cli.main import app; "
        "print([name for name in ('fastapi','psycopg','aiohttp','cryptography','docker','numpy','git') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "--node", "a", "--no-node"], "--node and --no-node contradict each other"),
        (["up", "--listen", "127.0.0.1:99999"], "must be HOST:PORT with a port from 1 to 65535"),
        (["up", "--database-url", "postgresql://u:canary@h/d"], "MOORAGE_DATABASE_PASSWORD"),  # moorage:allow-secret
        (["tokens", "create"], "give your token a name"),
        (["tokens", "create", "--team", "a", "--ttl", "soon"], "must be a number with s, m, h or d"),
        (["tokens", "list"], "start the platform with: moorage up"),
        (["kubeconfig"], "start the platform with: moorage up"),
    ],
)
def test_refusals_are_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = moorage(*arguments, "--data-dir", str(tmp_path / "none"))
    assert result.code == 1
    assert sentence in result.err
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("moorage: ")
    assert "canary" not in result.err


def test_an_agent_refuses_thresholds_that_it_does_not_know(tmp_path: Path) -> None:
    given = ["--server", "https://127.0.0.1:1", "--token-file", "/dev/null", "--data-dir", str(tmp_path)]
    result = moorage("agent", *given, "--eviction-hard", "cpu.available<1")
    assert result.code == 78
    assert result.err.startswith("moorage: --eviction-hard: unsupported eviction signal 'cpu.available', known are ")


def test_a_server_without_its_contracts_refuses_to_start(installation: Installation, tmp_path: Path) -> None:
    pki = installation.data_dir / "pki"
    given = {
        "--database-url": "postgresql:///none",
        "--tls-cert": str(pki / "server.crt"),
        "--tls-key": str(pki / "server.key"),
        "--ca-cert": str(pki / "ca.crt"),
        "--kek-file": str(installation.data_dir / "kek"),
        "--git-dir": str(tmp_path / "git"),
        "--bootstrap-tokens": str(installation.data_dir / "bootstrap-tokens.json"),
    }
    broken = tmp_path / "broken"
    broken.write_text("{}")
    for option, value, sentence in (
        ("--kek-file", "", "no key-encryption key: give --kek-file"),
        ("--kek-file", str(broken), "must hold key-encryption keys"),
        ("--tls-cert", str(broken), "are no certificate with its key in PEM"),
        ("--ca-cert", str(broken), "is no certificate in PEM"),
        ("--bootstrap-tokens", str(broken), "must be a list of"),
        ("--bootstrap-tokens", str(tmp_path / "missing"), "cannot be read"),
        ("--git-dir", str(broken / "git"), "cannot be made"),
    ):
        options = {**given, option: value}
        arguments = [word for pair in options.items() if pair[1] for word in pair]
        result = moorage("server", *arguments)
        assert result.code == 78, (option, value, result)
        assert sentence in result.err


def test_a_node_joins_with_its_token_alone(installation: Installation, tmp_path: Path) -> None:
    """The token carries the CA's hash: no CA file is needed, and another server is refused."""
    file = tmp_path / "join"
    installation.do("tokens create", "--node", "joiner", "--out", str(file))
    token = file.read_text().strip()
    assert token.startswith("moorage1.")
    digest = token.split(".")[1]
    forged = tmp_path / "forged"
    forged.write_text(token.replace(digest, "0" * 64))
    arguments = ["--server", installation.url, "--node", "joiner", "--data-dir", str(tmp_path / "state")]
    refused = moorage("agent", *arguments, "--token-file", str(forged))
    assert refused.code == 78
    assert "another CA" in refused.err


async def test_another_machine_joins_as_a_node(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "join"
    installation.do("tokens create", "--node", "joined", "--out", str(file))
    kubectl = installation.kubectl()
    command = [sys.executable, "-m", "moorage.cli", "agent", "--server", installation.url, "--node", "joined"]
    command += ["--token-file", str(file), "--data-dir", str(tmp_path / "state")]
    agent = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        await until(lambda: kubectl.attempt("get", "node", "joined", "-o", ready).out == "True")
    finally:
        agent.terminate()
        _, said = await asyncio.wait_for(agent.communicate(), 20)
    assert agent.returncode == 0
    assert file.read_text().strip().encode() not in said
    kubectl("delete", "node", "joined")
    removed = moorage("remove", "--yes", "--data-dir", str(tmp_path / "state"))
    assert removed.code == 0, removed.err
    assert not (tmp_path / "state").exists()
