"""Programs that give tokens: what they are told, what they may answer, when they are asked again."""

from __future__ import annotations

import json
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage.client.exec_plugin import ExecError, ExecToken
from moorage.client.kubeconfig import KubeconfigError, load

VERSION = "client.authentication.k8s.io/v1"


def program(folder: Path, body: str) -> str:
    """A script that counts its runs in ``runs``."""
    file = folder / "plugin"
    counting = "open('runs', 'a').write('x')"
    file.write_text(f"#!{sys.executable}\nimport json, os, sys\nos.chdir({str(folder)!r})\n{counting}\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return "./plugin"


def kubeconfig(folder: Path, **part: Any) -> Path:
    plugin = {"apiVersion": VERSION, **part}
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://example.com"}}],
        "users": [{"name": "u", "user": {"exec": plugin}}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return file


def answer(**status: Any) -> str:
    document = {"kind": "ExecCredential", "apiVersion": VERSION, "status": status}
    return f"print({json.dumps(document)!r})"


def token_of(file: Path) -> ExecToken:
    found = load(file).client_token()
    assert isinstance(found, ExecToken)
    return found


def test_the_token_is_asked_for_once_while_it_is_valid(tmp_path: Path) -> None:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    command = program(tmp_path, answer(token="secret", expirationTimestamp=until))
    token = token_of(kubeconfig(tmp_path, command=command))
    assert [token.current(), token.current()] == ["secret", "secret"]
    assert (tmp_path / "runs").read_text() == "x"


def test_an_old_token_is_asked_for_again(tmp_path: Path) -> None:
    command = program(tmp_path, answer(token="secret", expirationTimestamp="2020-01-01T00:00:00Z"))
    token = token_of(kubeconfig(tmp_path, command=command))
    token.current()
    token.current()
    assert (tmp_path / "runs").read_text() == "xx"


def test_the_program_gets_arguments_environment_and_the_cluster(tmp_path: Path) -> None:
    body = (
        "told = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "value = sys.argv[1] + os.environ['GIVEN'] + told['spec']['cluster']['server']\n"
        "print(json.dumps({'status': {'token': value}}))"
    )
    file = kubeconfig(
        tmp_path,
        command=program(tmp_path, body),
        args=["one-"],
        env=[{"name": "GIVEN", "value": "two-"}],
        provideClusterInfo=True,
    )
    assert token_of(file).current() == "one-two-https://example.com"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("print('hello')", "printed no ExecCredential"),
        ("print('{}')", "printed no ExecCredential"),
        (answer(clientCertificateData="x"), "gave no token"),
    ],
)
def test_programs_that_fail_are_named(tmp_path: Path, body: str, words: str) -> None:
    token = token_of(kubeconfig(tmp_path, command=program(tmp_path, body)))
    with pytest.raises(ExecError, match=words):
        token.current()


def test_a_missing_program_gives_its_hint(tmp_path: Path) -> None:
    token = token_of(kubeconfig(tmp_path, command="./absent", installHint="install it first"))
    with pytest.raises(ExecError, match="not installed; install it first"):
        token.current()


@pytest.mark.parametrize(
    ("part", "words"),
    [({"apiVersion": "v1", "command": "x"}, "exec.apiVersion"), ({"command": ""}, "exec.command is missing")],
)
def test_unusable_kubeconfigs(tmp_path: Path, part: dict[str, Any], words: str) -> None:
    with pytest.raises(KubeconfigError, match=words):
        load(kubeconfig(tmp_path, **part))
