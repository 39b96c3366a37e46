"""Every command of docs/secrets.md is run, in the order of the page, against the real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from moorage.cli.main import app
from moorage_tenants.sealing.kek import FileKek, new_kek
from tests.integration.api.documents import create, namespace
from tests.support.certificates import Certificates
from tests.support.kubectl import tool
from tests.support.secrets import serve_secrets

PAGE = Path(__file__).resolve().parents[3] / "docs" / "secrets.md"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: api}\nstringData: {token: x}\n"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "a", "image": "a:1", "envFrom": [{"secretRef": {"name": "db"}}]}]},
        },
    },
}
ELSEWHERE = {
    "moorage secrets rotate-keys --kms": "have no key management service (--kms-socket)",
    "moorage audit -n blue --resource secrets --verb get": "",
}
"""What this server cannot do: "" where another test runs it, else the words of its refusal."""


def commands() -> list[str]:
    """The commands of all blocks, without their comments."""
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(("moorage ", "kubectl "))]
    return [line.split("  #")[0].strip() for line in lines]


def prepare(folder: Path) -> None:
    """The files that the page speaks of, in a repository."""
    (folder / "deploy").mkdir()
    for name, text in {
        "site.crt": "certificate",
        "site.key": "key",
        ".env": "A=1\n",
        "deploy/secret.yaml": SECRET,
        ".gitignore": ".env\napp.env\n*.pem\nsite.*\nkubeconfig\n",
    }.items():
        (folder / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


async def test_every_command_of_the_page(
    database_url: str, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".moorage").mkdir(parents=True)
    kek = home / ".moorage" / "kek"
    kek.write_text(new_kek())
    folder = tmp_path / "work"
    folder.mkdir()
    prepare(folder)
    monkeypatch.chdir(folder)
    listed = commands()
    assert len(listed) > 25
    async with serve_secrets(database_url, certificates, source=FileKek(kek)) as server:
        (folder / "kubeconfig").write_text(yaml.safe_dump(server.api.kubeconfig()))
        for name in ("blue", "blue-staging"):
            await create(server.api.client, "/api/v1/namespaces", namespace(name))
        await create(server.api.client, "/apis/apps/v1/namespaces/blue/deployments", DEPLOYMENT)
        variables = {"KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(home), "EDITOR": "true"}
        for line in listed:
            words = [os.path.join(home, word[2:]) if word.startswith("~/") else word for word in shlex.split(line)]
            if ELSEWHERE.get(line) == "":
                continue
            if words[0] == "kubectl":
                done = await asyncio.to_thread(
                    subprocess.run,
                    [tool("kubectl"), *words[1:]],
                    env={**os.environ, **variables},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                code, said = done.returncode, done.stdout + done.stderr
            else:
                result = await asyncio.to_thread(
                    CliRunner().invoke, app, words[1:], input=b"value", env={**variables, "MOORAGE_DATA_DIR": None}
                )
                code, said = result.exit_code, result.output
            if refusal := ELSEWHERE.get(line):
                assert code != 0, line
                assert refusal in said, f"{line}: {said}"
            else:
                assert code == 0, f"{line}: {said}"
    sealed = yaml.safe_load((folder / "db.yaml").read_text())
    assert set(sealed["spec"]["encryptedData"]) == {"password", "user"}
    assert json.dumps(sealed).count("value") == 0
