"""``docs/teams.md``, acted out: a new team goes from nothing to its first push, by OIDC login, with real kubectl and git."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.installation import MOORAGE, Installation, new_installation
from tests.support.kubectl import Kubectl, Result
from tests.support.oidc import Provider
from tests.support.wait import until

CONFIG = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
LIMIT = 300.0
"""Seconds that the whole way may take."""
MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pushed}\ndata: {greeting: hello}\n"


@dataclass
class Person:
    """Somebody with a home of their own, and nothing in it."""

    home: Path
    platform: Installation
    provider: Provider

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        author = {"NAME": "A", "EMAIL": "a@example.test"}
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in author.items()}
        return {**kept, **who, "HOME": str(self.home), "GIT_TERMINAL_PROMPT": "0"}

    def run(self, *command: str, folder: Path | None = None) -> Result:
        """A command, to its end."""
        done = subprocess.run(
            command,
            cwd=folder or self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Result(done.returncode, done.stdout.strip(), done.stderr.strip())

    def do(self, *command: str, folder: Path | None = None) -> str:
        result = self.run(*command, folder=folder)
        assert result.code == 0, f"{command}: {result.out}\n{result.err}"
        return result.out

    def log_in(self, user: str, *arguments: str) -> None:
        """``moorage login``, with the user at a browser."""
        command = [MOORAGE, *arguments, "--no-browser"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert process.stderr is not None
        shown = ""
        while not (found := re.search(r"(https://[^/\s]+/\S+)\s", shown)):
            line = process.stderr.readline()
            assert line, f"moorage login ended: {shown}"
            shown += line
        self.provider.browser().log_in(found[1], user)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, shown + out + err

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self.home / ".kube" / "config", self.home)

    def push(self, namespace: str) -> Result:
        """A repository with one manifest, pushed."""
        work = self.home / "web"
        if not work.exists():
            work.mkdir()
            self.do("git", "init", "--quiet", "--initial-branch=main", folder=work)
            (work / "config.yaml").write_text(MANIFEST)
            self.do("git", "add", ".", folder=work)
            self.do("git", "commit", "--quiet", "-m", "First", folder=work)
        return self.run("git", "push", f"{self.platform.url}/git/{namespace}/web.git", "main", folder=work)


@pytest.fixture(scope="module")
def platform(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation without nodes that trusts the provider."""
    file = tmp_path_factory.mktemp("first-push") / "config.yaml"
    file.write_text(yaml.safe_dump({**CONFIG, "jwt": [provider.config()]}))
    with new_installation() as made:
        made.up("--no-node", "--authentication-config", str(file))
        yield made


def person(folder: Path, name: str, platform: Installation, provider: Provider) -> Person:
    home = folder / name
    home.mkdir()
    return Person(home, platform, provider)


async def test_from_nothing_to_the_first_push_and_no_further(
    platform: Installation, provider: Provider, tmp_path: Path
) -> None:
    begin = time.monotonic()
    platform.do(
        "tenants create",
        "blue",
        *("--owner-group", "corp:blue", "--quota", "cpu=2,memory=2Gi,count/configmaps=50", "--namespaces", "2"),
    )
    invited = platform.do("tenants invite", "blue", "corp:bob@example.test", "--role", "view")
    login = re.search(r"moorage (login .*)", invited)
    assert login is not None
    arguments = login[1].split()

    alice = person(tmp_path, "alice", platform, provider)
    alice.log_in("alice+blue", *arguments)
    assert alice.kubectl("create", "namespace", "blue") == "namespace/blue created"
    pushed = alice.push("blue")
    assert pushed.code == 0, pushed.err
    assert alice.kubectl("get", "configmap", "pushed", "-n", "blue", "-o", "jsonpath={.data.greeting}") == "hello"
    took = time.monotonic() - begin
    assert took < LIMIT, f"the way took {took:.0f} s"

    alice.kubectl("create", "namespace", "blue-test")
    refused = alice.kubectl.attempt("create", "namespace", "blue-more")
    assert 'exceeded quota of tenant "blue": requested: count/namespaces=1' in refused.err

    async def counted() -> bool:
        usage = json.loads(alice.do(MOORAGE, "tenants", "usage", "blue", "--output", "json"))
        assert usage["used"]["count/namespaces"] == "2"
        return int(usage["used"]["count/configmaps"]) >= 1

    await until(counted)
    assert re.search(r"count/namespaces +2 +2 +\S{20} +100% !", alice.do(MOORAGE, "tenants", "usage", "blue"))
    assert alice.do(MOORAGE, "tenants", "list").splitlines()[1].startswith("blue ")
    assert "reached by     its own pods and the platform's" in alice.do(MOORAGE, "tenants", "show", "blue")

    bob = person(tmp_path, "bob", platform, provider)
    bob.log_in("bob", *arguments)
    assert bob.kubectl("get", "configmap", "pushed", "-n", "blue", "-o", "name") == "configmap/pushed"
    assert bob.kubectl.attempt("delete", "configmap", "pushed", "-n", "blue").code == 1
    assert bob.kubectl.attempt("create", "namespace", "bobs").code == 1
    assert bob.push("blue").code != 0
    alice.do(MOORAGE, "tenants", "invite", "blue", "corp:bob@example.test", "--role", "edit")
    bobs = next(each for each in alice.do(MOORAGE, "tenants", "members", "blue").splitlines() if "bob" in each)
    assert bobs.split() == ["User", "corp:bob@example.test", "edit"]
    assert bob.kubectl("create", "configmap", "bobs", "-n", "blue") == "configmap/bobs created"
    alice.do(MOORAGE, "tenants", "members", "blue", "--remove", "corp:bob@example.test")
    assert bob.kubectl.attempt("get", "configmaps", "-n", "blue").code == 1

    eve = person(tmp_path, "eve", platform, provider)
    eve.log_in("eve+red", *arguments)
    for command in (
        ("get", "configmaps", "-n", "blue"),
        ("get", "namespace", "blue"),
        ("get", "tenant", "blue"),
        ("create", "namespace", "evil"),
        ("label", "namespace", "blue", "tenancy.moorage.io/tenant=red", "--overwrite"),
        ("get", "configmaps", "-A"),
    ):
        assert "Forbidden" in eve.kubectl.attempt(*command).err, command
    assert eve.kubectl("get", "namespaces", "-o", "name") == ""
    assert eve.push("blue").code != 0


async def test_the_way_out_and_back(platform: Installation, provider: Provider, tmp_path: Path) -> None:
    platform.do("tenants create", "green", "--owner", "corp:gina@example.test", "--namespace", "green")
    out = platform.do("tenants invite", "green", "corp:gina@example.test", "--owner")
    arguments = re.search(r"moorage (login .*)", out)
    assert arguments is not None
    gina = person(tmp_path, "gina", platform, provider)
    gina.log_in("gina", *arguments[1].split())
    gina.kubectl("create", "configmap", "kept", "-n", "green")
    gina.kubectl(
        "create", "rolebinding", "by-name", "-n", "green", "--clusterrole=view", "--user=corp:gina@example.test"
    )

    plain = platform.kubectl().attempt("delete", "tenant", "green")
    assert "moorage tenants delete green" in plain.err
    assert "restore green" in platform.do("tenants delete", "green", "--stop")
    assert gina.kubectl.attempt("get", "configmaps", "-n", "green").code == 1
    assert gina.push("green").code != 0
    platform.do("tenants restore", "green")
    assert gina.kubectl("get", "configmap", "kept", "-n", "green", "-o", "name") == "configmap/kept"
    assert "not marked" in platform.run("tenants restore", "green").err

    platform.do("tenants suspend", "green")
    assert gina.kubectl.attempt("get", "configmaps", "-n", "green").code == 1
    platform.do("tenants resume", "green")

    assert "--confirm green" in platform.run("tenants delete", "green", "--now").err
    assert "is not the name" in platform.run("tenants delete", "green", "--now", "--confirm", "blue").err
    platform.do("tenants delete", "green", "--now", "--confirm", "green")
    admin = platform.kubectl()
    await until(lambda: admin.attempt("get", "tenant", "green").code == 1, timeout=40)
    assert admin.attempt("get", "namespace", "green").code == 1


def test_people_without_a_login_get_a_kubeconfig(platform: Installation, tmp_path: Path) -> None:
    platform.do("tenants create", "grey", "--namespace", "grey")
    file = tmp_path / "gus.kubeconfig"
    out = platform.do("tenants invite", "grey", "gus", "--token", "--ttl", "1h", "--out", str(file))
    assert str(file) in out
    assert file.stat().st_mode & 0o777 == 0o600
    gus = platform.kubectl(kubeconfig=file)
    assert gus("create", "configmap", "mine", "-n", "grey") == "configmap/mine created"
    assert gus.attempt("get", "configmaps", "-n", "default").code == 1


def test_mistakes_are_answered_with_what_to_do(platform: Installation) -> None:
    for command, words in (
        (("tenants create", "default"), "the name is reserved for the platform"),
        (("tenants create", "pink", "--quota", "cpu"), "must be RESOURCE=AMOUNT"),
        (("tenants show", "nobody"), "moorage tenants list"),
        (("tenants usage", "nobody"), "moorage tenants list"),
        (("tenants list", "--output", "xml"), "must be table, json or yaml"),
        (("tenants invite", "nobody", "x", "--group", "--token"), "--token is for a person"),
        (("tenants invite", "nobody", "x", "--service-account"), "NAMESPACE/NAME"),
    ):
        result = platform.run(*command)
        assert result.code == 1, result.out
        assert words in result.err
    shown = yaml.safe_load(platform.do("tenants create", "pink", "--level", "restricted", "--dry-run"))
    assert shown["spec"]["podSecurity"]["enforce"] == "restricted"
    assert "there is no tenant" in platform.run("tenants show", "pink").err
