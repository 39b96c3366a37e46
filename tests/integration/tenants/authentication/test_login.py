"""``moorage login`` against a real provider and a real platform: browser, device code, refresh, Git, logout."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage.client.login.logins import Logins
from tests.support.installation import MOORAGE, Installation, new_installation
from tests.support.kubectl import Kubectl, Result
from tests.support.oidc import Provider
from tests.support.wait import until

CONFIG = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}


@dataclass
class Person:
    """Somebody's home, with the command ``moorage`` in it."""

    home: Path
    installation: Installation
    provider: Provider

    @property
    def environment(self) -> dict[str, str]:
        """Nothing but what a fresh account has."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.home)}

    @property
    def kubeconfig(self) -> Path:
        return self.home / ".kube" / "config"

    def run(self, *arguments: str, stdin: str = "") -> Result:
        """A command, to its end."""
        done = subprocess.run(
            [MOORAGE, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=self.environment,
        )
        return Result(done.returncode, done.stdout.rstrip("\n"), done.stderr.rstrip("\n"))

    def log_in(self, user: str, *arguments: str, expect: str = r"(https://[^/\s]+/\S+)") -> str:
        """``moorage login``, with the user at a browser; what it printed."""
        server = ("--server", self.installation.url)
        process = subprocess.Popen(
            [MOORAGE, "login", *server, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert process.stderr is not None
        shown = ""
        while not (found := re.search(expect + r"\s", shown)):
            line = process.stderr.readline()
            assert line, f"moorage login ended: {process.wait(10)} {shown}"
            shown += line
        self.provider.browser().log_in(found[1], user)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, shown + err
        return out

    def kubectl(self) -> Kubectl:
        return Kubectl(self.kubeconfig, self.home)

    def login_file(self) -> Path:
        (file,) = (self.home / ".config" / "moorage" / "logins").glob("*.json")
        return file

    def stored(self) -> dict[str, Any]:
        """The login as it is kept."""
        found: dict[str, Any] = json.loads(self.login_file().read_text())
        return found


@pytest.fixture(scope="module")
def platform(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation without nodes that trusts the provider."""
    file = tmp_path_factory.mktemp("authentication") / "config.yaml"
    file.write_text(yaml.safe_dump({**CONFIG, "jwt": [provider.config()]}))
    with new_installation() as made:
        made.up("--no-node", "--authentication-config", str(file))
        yield made


@pytest.fixture
def person(platform: Installation, provider: Provider, tmp_path: Path) -> Person:
    """Somebody without any login."""
    return Person(tmp_path, platform, provider)


def ca_hash(platform: Installation) -> str:
    from moorage.supervisor.pki import fingerprint

    return fingerprint((platform.data_dir / "pki" / "ca.crt").read_bytes())


def whoami(person: Person) -> dict[str, Any]:
    done = person.run("whoami", "--output", "json", "--kubeconfig", str(person.kubeconfig))
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_code_and_pkce_in_the_browser(person: Person, platform: Installation) -> None:
    out = person.log_in("alice+devs", "--no-browser", "--ca-hash", ca_hash(platform), "--namespace", "blue")
    assert "as alice@example.test" in out
    who = whoami(person)
    assert who["username"] == "corp:alice@example.test"
    assert set(who["groups"]) == {"corp:devs", "system:authenticated"}
    kubectl = person.kubectl()
    assert "corp:alice@example.test" in kubectl("auth", "whoami")
    assert kubectl.attempt("get", "nodes").code != 0
    written = yaml.safe_load(person.kubeconfig.read_text())
    assert written["contexts"][0]["context"]["namespace"] == "blue"
    assert stat.S_IMODE(person.kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(person.login_file().stat().st_mode) == 0o600
    assert person.stored()["tokens"]["id_token"] not in person.kubeconfig.read_text()


def test_device_code_on_a_machine_without_a_browser(person: Person, platform: Installation) -> None:
    ca = str(platform.data_dir / "pki" / "ca.crt")
    person.log_in("bob", "--device", "--ca-file", ca)
    assert whoami(person)["username"] == "corp:bob@example.test"


def test_a_server_that_is_not_known_is_not_believed(person: Person, platform: Installation) -> None:
    unknown = person.run("login", "--server", platform.url)
    assert unknown.code == 1
    assert "--ca-file" in unknown.err
    assert "--ca-hash" in unknown.err
    other = person.run("login", "--server", platform.url, "--ca-hash", "ab" * 32)
    assert other.code == 1
    assert "another CA" in other.err
    assert not person.kubeconfig.exists()


def test_tokens_are_refreshed_silently_and_by_one_of_many(person: Person, platform: Installation) -> None:
    person.log_in("carol", "--no-browser", "--ca-hash", ca_hash(platform))
    before = person.stored()
    before["tokens"]["expires_at"] = time.time() + 5
    person.login_file().write_text(json.dumps(before))
    command = ["token", "--server", platform.url, "--issuer", "corp"]
    several = [
        subprocess.Popen([MOORAGE, *command], stdout=subprocess.PIPE, text=True, env=person.environment)
        for _ in range(4)
    ]
    printed = [json.loads(process.communicate(timeout=60)[0])["status"]["token"] for process in several]
    after = person.stored()
    # The provider's refresh tokens are for one use: had two used the same, it would have ended the login.
    assert set(printed) == {after["tokens"]["id_token"]}
    assert after["tokens"]["id_token"] != before["tokens"]["id_token"]
    assert after["tokens"]["refresh_token"] != before["tokens"]["refresh_token"]
    assert "corp:carol@example.test" in person.kubectl()("auth", "whoami")


def test_git_uses_the_login(person: Person, platform: Installation) -> None:
    person.log_in("dora", "--no-browser", "--ca-hash", ca_hash(platform))
    host = platform.url.removeprefix("https://")
    given = person.run("git-credential", "get", stdin=f"protocol=https\nhost={host}\n\n")
    assert given.out == f"username=login\npassword={person.stored()['tokens']['id_token']}"
    assert person.run("git-credential", "get", stdin="protocol=https\nhost=elsewhere.test\n\n").out == ""
    platform.kubectl()("create", "namespace", "dora")
    platform.kubectl()(
        "create", "rolebinding", "dora", "-n", "dora", "--clusterrole=admin", "--user=corp:dora@example.test"
    )
    work = person.home / "app"
    environment = {**person.environment, "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_NAME": "Dora"}
    environment |= {
        "GIT_AUTHOR_EMAIL": "d@example.test",
        "GIT_COMMITTER_NAME": "Dora",
        "GIT_COMMITTER_EMAIL": "d@example.test",
    }

    def git(*arguments: str) -> None:
        done = subprocess.run(
            ["git", *arguments], env=environment, cwd=work, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr

    work.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    (work / "config.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pushed}\ndata: {a: b}\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "First")
    git("push", "--quiet", f"{platform.url}/git/dora/app.git", "main")
    assert platform.kubectl("dora")("get", "configmap", "pushed", "-o", "name") == "configmap/pushed"


def test_logout_ends_the_login_everywhere(person: Person, platform: Installation) -> None:
    person.log_in("erin", "--no-browser", "--ca-hash", ca_hash(platform))
    kept = person.stored()
    done = person.run("logout")
    assert done.code == 0, done.err
    assert yaml.safe_load(person.kubeconfig.read_text())["users"] == []
    assert "helper" not in (person.home / ".gitconfig").read_text()
    refused = person.run("token", "--server", platform.url, "--issuer", "corp")
    assert refused.code == 1
    assert "moorage login" in refused.err
    # What was copied before is of no use either: the provider has ended it.
    kept["tokens"]["expires_at"] = 0
    file = Logins(person.home / ".config" / "moorage").path(platform.url, "corp")
    file.write_text(json.dumps(kept))
    replayed = person.run("token", "--server", platform.url, "--issuer", "corp")
    assert replayed.code == 1
    assert "invalid_grant" in replayed.err


def test_the_kubeconfig_keeps_what_else_it_held(person: Person, platform: Installation) -> None:
    person.kubeconfig.parent.mkdir()
    other = {"name": "other", "cluster": {"server": "https://other.test"}}
    person.kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "clusters": [other]}))
    person.log_in("fay", "--no-browser", "--no-git", "--ca-hash", ca_hash(platform), "--context", "mine")
    written = yaml.safe_load(person.kubeconfig.read_text())
    assert [each["name"] for each in written["clusters"]] == ["other", "mine"]
    assert written["current-context"] == "mine"
    assert not (person.home / ".gitconfig").exists()


async def test_personal_tokens_of_somebody_who_logged_in(person: Person, platform: Installation) -> None:
    person.log_in("gus", "--no-browser", "--ca-hash", ca_hash(platform))
    config = ("--kubeconfig", str(person.kubeconfig))
    made = person.run("tokens", "create", "ci", "--scope", "git", "--ttl", "1h", *config)
    assert made.code == 0, made.err
    again = person.run("tokens", "create", "ci", *config)
    assert "already exists" in again.err
    listed = person.run("tokens", "list", *config)
    assert "corp:gus@example.test" in listed.out
    assert made.out not in listed.out
    refused, _ = platform.request("GET", "/api/v1/namespaces/default/configmaps", made.out)
    assert refused == 403
    forbidden = person.run("tokens", "create", "--user", "root", "--group", "system:masters", *config)
    assert "forbidden" in forbidden.err
    person.run("tokens", "revoke", "ci", *config)
    await until(lambda: platform.request("GET", "/api", made.out)[0] == 401, timeout=10)
