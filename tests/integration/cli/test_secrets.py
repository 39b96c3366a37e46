"""``moorage secrets`` as people use it, against the real server: what it takes, what it shows, what it leaves behind."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import pty
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from moorage.cli.main import app
from moorage.store.contracts import Key
from tests.integration.api.documents import create, namespace, send
from tests.support.certificates import Certificates
from tests.support.secrets import SECRETS, SecretServer, serve_secrets
from tests.support.wait import until

MOORAGE = str(Path(sys.executable).with_name("moorage"))
CANARY = "canary-of-the-cli-66f0"


@dataclass
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass
class User:
    """A user with a kubeconfig, in a directory."""

    directory: Path
    server: SecretServer

    async def run(self, command: str, *arguments: str, stdin: str = "", **variables: str) -> Ran:
        """``moorage secrets COMMAND ...``; may fail."""
        # In this process: a start of Python for each command would be most of the time.
        result = await asyncio.to_thread(
            CliRunner().invoke,
            app,
            ["secrets", *command.split(), *arguments],
            input=stdin.encode(),
            env={"KUBECONFIG": str(self.directory / "kubeconfig"), "MOORAGE_DATA_DIR": None, **variables},
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return Ran(result.exit_code, result.stdout, result.stderr)

    async def do(self, command: str, *arguments: str, stdin: str = "", **variables: str) -> str:
        """The same; must succeed. What it printed."""
        ran = await self.run(command, *arguments, stdin=stdin, **variables)
        assert ran.code == 0, f"moorage secrets {command}: {ran.code}\n{ran.out}\n{ran.err}"
        return ran.out

    async def values(self, name: str, space: str = "default") -> dict[str, str]:
        """The values of a Secret, as the API has them."""
        found = await send(self.server.api.client, "GET", f"{SECRETS.replace('default', space)}/{name}")
        return {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}

    def write(self, name: str, text: str) -> Path:
        """A file."""
        path = self.directory / name
        path.write_text(text)
        return path


@pytest.fixture
async def user(
    database_url: str, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[User]:
    monkeypatch.chdir(tmp_path)
    async with serve_secrets(database_url, certificates) as server:
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(server.api.kubeconfig()))
        yield User(tmp_path, server)


async def test_set_get_list(user: User) -> None:
    assert await user.do("set db password", stdin=f"{CANARY}\n") == "secret/db created in default: password\n"
    user.write("site.key", "key material")
    user.write("more.env", "# comment\nexport A=1\nB='two words'\n")
    told = await user.do("set db --from-file tls.key=site.key --from-env-file more.env")
    assert told == "secret/db changed in default: set A, B, tls.key\n"
    assert await user.values("db") == {"password": CANARY, "tls.key": "key material", "A": "1", "B": "two words"}
    assert await user.do("set db password", stdin=CANARY) == "secret/db unchanged\n"

    shown = await user.do("get db")
    assert CANARY not in shown
    assert "password   22" in shown
    assert "show them with --reveal" in shown
    assert json.loads(await user.do("get db -o json"))["values"]["A"] == "********"
    assert await user.do("get db password --reveal") == CANARY
    assert await user.do("get db password --out out.txt") == "password written to out.txt\n"
    assert (user.directory / "out.txt").read_text() == CANARY
    assert stat.S_IMODE((user.directory / "out.txt").stat().st_mode) == 0o600
    assert json.loads(await user.do("get db -o json --reveal"))["values"]["password"] == CANARY
    missing = await user.run("get db nope")
    assert missing.err == 'moorage: Secret "db" has no key "nope"; it has A, B, password, tls.key\n'
    assert "see: moorage secrets list -n default" in (await user.run("get nope")).err

    listed = await user.do("list")
    assert CANARY not in listed
    assert "A,B,password,tls.key" in listed
    assert await user.do("set db --unset A --unset B") == "secret/db changed in default: removed A, B\n"
    assert await user.do("set db password --replace", stdin="x") == (
        "secret/db changed in default: set password; removed tls.key\n"
    )
    reads = [
        (attributes.verb, attributes.name)
        for attributes, _, _ in user.server.api.policies.auditor.records
        if attributes.resource == "secrets" and attributes.verb in ("get", "list")
    ]
    assert ("get", "db") in reads
    assert ("list", "") in reads


async def test_programs_get_json_or_yaml(user: User) -> None:
    await user.do("set db password", stdin=CANARY)
    for command, shown in (
        ("get db", lambda found: found["values"]["password"] == "********"),
        ("get db --reveal", lambda found: found["values"]["password"] == CANARY),
        ("list", lambda found: [(each["name"], each["keys"]) for each in found] == [("db", ["password"])]),
        ("history db", lambda found: [each["version"] for each in found] == [1]),
        ("history db --version 1", lambda found: found["values"]["password"] == "********"),
        ("history db --version 1 --reveal", lambda found: found["values"]["password"] == CANARY),
    ):
        as_json, as_yaml = await user.do(f"{command} -o json"), await user.do(f"{command} --output yaml")
        assert json.loads(as_json) == yaml.safe_load(as_yaml)
        assert shown(json.loads(as_json)), as_json
        refused = await user.run(f"{command} -o xml")
        assert (refused.code, refused.err) == (1, 'moorage: --output "xml": must be table, json or yaml\n')
    key = await user.do("public-key")
    assert len(base64.b64decode(key)) == 32
    await user.do("public-key --out key.pub")
    assert (user.directory / "key.pub").read_text() == key


async def test_a_value_in_an_argument_is_refused(user: User) -> None:
    refused = await user.run("set db", f"password={CANARY}")
    assert refused.code == 1
    assert "password=... is refused: a value in an argument can be read by every process" in refused.err
    assert "moorage secrets set NAME password" in refused.err
    assert CANARY not in refused.err + refused.out
    refused = await user.run("seal db", f"password={CANARY}")
    assert "password=... is refused" in refused.err
    for arguments, text in (
        (("set", "db"), "no value was given"),
        (("set", "db", "a", "b"), "one value can be piped, and 2 keys are named"),
        (("set", "db", "..x"), "cannot be a key"),
        (("set", "db", "--from-file", "a=missing"), "missing: cannot be read: No such file"),
        (("rollback", "db", "1"), "say --yes"),
        (("copy", "db"), "a copy needs another place"),
        (("get", "db", "--kubeconfig", "gone"), "gone does not exist"),
    ):
        ran = await user.run(arguments[0], *arguments[1:])
        assert ran.code != 0
        assert text in ran.err, ran.err


async def test_a_prompt_shows_nothing(user: User) -> None:
    """On a terminal, values are asked for twice and not shown."""
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(MOORAGE, "secrets", "set", "db", "password"),
        cwd=user.directory,
        env={"PATH": os.environ["PATH"], "KUBECONFIG": "kubeconfig"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        preexec_fn=_own_terminal,
    )
    os.close(follower)
    os.set_blocking(leader, False)
    shown = b""

    def has(text: bytes) -> bool:
        nonlocal shown
        with contextlib.suppress(OSError):
            shown += os.read(leader, 65536)
        assert text in shown, shown
        return True

    await until(lambda: has(b"password: "))
    os.write(leader, f"{CANARY}\n".encode())
    await until(lambda: has(b"password again: "))
    os.write(leader, f"{CANARY}\n".encode())
    await until(lambda: has(b"created in default"))
    await process.wait()
    os.close(leader)
    assert CANARY.encode() not in shown
    assert await user.values("db") == {"password": CANARY}


def _own_terminal() -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


async def test_edit_leaves_nothing_behind(user: User) -> None:
    await user.do("set db password", stdin=CANARY)
    editor = user.write(
        "editor.py",
        "import os, pathlib, shutil, stat, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "pathlib.Path('seen').write_text(f'{file}\\n{oct(stat.S_IMODE(file.stat().st_mode))}\\n{oct(stat.S_IMODE(file.parent.stat().st_mode))}')\n"
        "shutil.copy(file, str(file) + '~')\n"
        "text = file.read_text()\n"
        "how = os.environ['HOW']\n"
        "assert 'canary' in text\n"
        "if how == 'change': file.write_text(text + '  more: |\\n    two\\n    lines\\n')\n"
        "if how == 'break': file.write_text('values: [')\n"
        "if how == 'number': file.write_text('values: {port: 5432}')\n"
        "sys.exit(how == 'fail')\n",
    )
    command = f"{sys.executable} {editor}"
    told = await user.do("edit db", EDITOR=command, HOW="change")
    assert told == "secret/db changed in default: more\n"
    assert await user.values("db") == {"password": CANARY, "more": "two\nlines\n"}
    for how, text in (
        ("keep", ""),
        ("fail", "the editor ended with code 1; nothing was changed"),
        ("break", "is no YAML"),
        ("number", "values.port must be a text; put it in quotes"),
    ):
        ran = await user.run("edit db", EDITOR=command, HOW=how)
        assert (ran.code == 0) == (how == "keep"), ran
        assert text in ran.err
        assert CANARY not in ran.out + ran.err
        seen, file_mode, folder_mode = (user.directory / "seen").read_text().split("\n")
        assert (file_mode, folder_mode) == ("0o600", "0o700")
        assert not Path(seen).parent.exists()


async def test_import_export_copy(user: User) -> None:
    values = {"plain": "x", "spaced": "a b", "quoted": "say \"hi\" $HOME \\ 'now'", "lines": "one\ntwo\n", "empty": ""}
    user.write("in.json", json.dumps(values))
    await user.do("import app in.json")
    assert await user.values("app") == values
    await user.do("export app --out app.env")
    assert stat.S_IMODE((user.directory / "app.env").stat().st_mode) == 0o600
    assert (
        await user.do("import again app.env")
        == "secret/again created in default: empty, lines, plain, quoted, spaced\n"
    )
    assert await user.values("again") == values
    assert json.loads(await user.do("export app --format json")) == values
    await create(user.server.api.client, "/api/v1/namespaces", namespace("blue"))
    await user.do("copy app --to-namespace blue --to other")
    assert await user.values("other", "blue") == values
    assert "app     Opaque   empty,lines,plain,quoted (+1)" in await user.do("list -n default")
    assert (await user.do("list -A")).count("Opaque") == 3
    bad = user.write("bad.env", f"A=1\nthis is no line {CANARY}\n")
    refused = await user.run("import app", str(bad))
    assert f"{bad}:2: not KEY=VALUE" in refused.err
    assert CANARY not in refused.err


async def test_history_and_rollback(user: User) -> None:
    await user.do("set db password", stdin="first")
    await user.do("set db password", stdin="second")
    await user.do("set db user", stdin="shop")
    rows = json.loads(await user.do("history db -o json"))
    assert [(row["version"], row["changed"]) for row in rows] == [
        (3, {"added": ["user"], "changed": [], "removed": []}),
        (2, {"added": [], "changed": ["password"], "removed": []}),
        (1, {"added": ["password"], "changed": [], "removed": []}),
    ]
    assert [row["current"] for row in rows] == [True, False, False]
    assert {row["user"] for row in rows} == {"admin"}
    table = await user.do("history db")
    assert "~password" in table
    assert "second" not in table
    assert "first" in await user.do("history db --version 1 --reveal")
    assert await user.do("rollback db 1 --yes") == "secret/db in default is as in version 1: password\n"
    assert await user.values("db") == {"password": "first"}
    # A deleted Secret comes back.
    await send(user.server.api.client, "DELETE", f"{SECRETS}/db")
    assert "deleted 20" in await user.do("history db")
    await user.do("rollback db 3 --yes")
    assert await user.values("db") == {"password": "second", "user": "shop"}
    assert "version 99 is not kept" in (await user.run("rollback db 99 --yes")).err
    for number in range(12):
        await user.do("set busy v", stdin=str(number))
    assert len(json.loads(await user.do("history busy -o json"))) == 10


async def test_history_is_for_those_who_may_read_the_secret(user: User) -> None:
    await user.do("set db password", stdin=CANARY)
    user.write("nobody", yaml.safe_dump(user.server.api.kubeconfig("nobody-token")))
    for command in ("history db", "history db --version 1 --reveal", "rollback db 1 --yes", "get db", "list"):
        ran = await user.run(command, KUBECONFIG="nobody")
        assert ran.code == 1
        assert "cannot" in ran.err
        assert CANARY not in ran.out + ran.err


async def test_seal_and_unseal(user: User) -> None:
    sealed = await user.do("seal db password", stdin=CANARY)
    document = yaml.safe_load(sealed)
    assert document["metadata"] == {"name": "db", "namespace": "default"}
    assert CANARY not in sealed
    user.write("db.yaml", sealed)
    assert CANARY not in await user.do("unseal db.yaml")
    assert CANARY in await user.do("unseal db.yaml --reveal")
    # Offline, with a saved key.
    await user.do("public-key --out platform.pub")
    offline = await user.do("seal db user --key platform.pub -n default", stdin="shop", KUBECONFIG="none")
    assert "encryptedData" in offline
    assert "say which namespace" in (await user.run("seal db user --key platform.pub", stdin="x")).err
    # More values into the same file, then all of it sealed anew.
    assert await user.do("seal db user --into db.yaml", stdin="shop") == "db.yaml: user sealed\n"
    before = (user.directory / "db.yaml").read_text()
    await user.server.parts.sealing_keys.renew()
    assert await user.do("seal --reseal db.yaml --in-place") == "db.yaml: 1 sealed\n"
    assert (user.directory / "db.yaml").read_text() != before
    await create(
        user.server.api.client,
        "/apis/secrets.moorage.io/v1/namespaces/default/sealedsecrets",
        yaml.safe_load((user.directory / "db.yaml").read_text()),
    )
    assert await user.values("db") == {"password": CANARY, "user": "shop"}
    # From the Secret that is there; and a change to it is refused, as it would be undone.
    again = yaml.safe_load(await user.do("seal db --from-secret"))
    assert set(again["spec"]["encryptedData"]) == {"password", "user"}
    refused = await user.run("set db password", stdin="x")
    assert 'is made from SealedSecret "db"' in refused.err
    assert "SealedSecret/db" in await user.do("list")


async def test_seal_a_manifest_in_place(user: User) -> None:
    text = (
        "# The shop.\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}  # stays\ndata: {a: '1'}\n---\n"
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: tls\n  labels: {app: shop}\n"
        '  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: \'{"stringData": "canary"}\'\n    note: kept\n'
        f"type: kubernetes.io/basic-auth\nstringData:\n  username: shop\n  password: {CANARY}\n"
    )
    file = user.write("all.yaml", text)
    assert await user.do("seal --manifest all.yaml --in-place -n default") == "all.yaml: 1 sealed\n"
    written = file.read_text()
    assert "canary" not in written
    assert written.startswith("# The shop.\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}  # stays\n")
    first, sealed = yaml.safe_load_all(written)
    assert first["kind"] == "ConfigMap"
    assert sealed["spec"]["template"] == {
        "metadata": {"labels": {"app": "shop"}, "annotations": {"note": "kept"}},
        "type": "kubernetes.io/basic-auth",
    }
    listed: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "l"}, "data": {"a": "eA=="}}],
    }
    user.write("list.json", json.dumps(listed))
    await user.do("seal --manifest list.json --in-place")
    assert json.loads((user.directory / "list.json").read_text())["items"][0]["kind"] == "SealedSecret"
    assert "holds no Secret to seal" in (await user.run("seal --manifest list.json --in-place")).err


async def test_rotate_keys_shows_its_progress(user: User) -> None:
    await user.do("set db password", stdin=CANARY)
    ran = await user.run("rotate-keys")
    assert ran.code == 0, ran.err
    assert "succeeded: 2 sealed or wrapped again, 1 namespaces with a new data key" in ran.out
    assert "] 2/2 all keys are in use" in ran.err
    assert await user.values("db") == {"password": CANARY}
    entry = (await user.server.api.store.cache(Key("", "secrets", "", "").resource_key)).get("default", "db")
    assert entry is not None
    assert "sealing-key" in await user.do("rotate-keys --help")
    # A key that the servers do not read is not in use, whatever else went well.
    user.write("other-kek", "0" * 64 + "\n")
    elsewhere = await user.run("rotate-keys --kek-file other-kek")
    assert elsewhere.code == 1
    assert "read another file, or none; put the new key in front of theirs" in elsewhere.err
    assert (await user.run("rotate-keys --sealing-key")).code == 0
    ordered = await user.do("rotate-keys --no-wait")
    assert "see: kubectl get keyrotation" in ordered


async def test_scan(user: User, tmp_path: Path) -> None:
    repository = tmp_path / "repo"
    repository.mkdir()

    async def git(*arguments: str) -> None:
        variables = {
            f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=repository, env={**os.environ, **variables, "GIT_CONFIG_GLOBAL": os.devnull}
        )
        assert await process.wait() == 0

    await git("init", "-q")
    (repository / "secret.yaml").write_text(
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {CANARY}}}\n"
    )
    (repository / "clean.txt").write_text("nothing here\n")
    await git("add", "-A")
    await git("commit", "-q", "-m", "one")
    (repository / "secret.yaml").unlink()
    await git("commit", "-q", "-a", "-m", "two")
    (repository / ".env").write_text("API_TOKEN=aB3dE5fG7hI9jK1lM3nO5\n")
    ran = await user.run("scan", str(repository))
    assert ran.code == 1
    assert ".env:1" in ran.out
    assert "secret.yaml:4" in ran.out
    assert "2 found, 1 of them in the history only." in ran.out
    assert CANARY not in ran.out
    assert "aB3dE5" not in ran.out
    found = json.loads((await user.run("scan", str(repository), "-o", "json", "--no-history")).out)
    assert [(each["file"], each["rule"], each["commit"]) for each in found] == [(".env", "high-entropy", "")]
    (repository / ".gitignore").write_text(".env\n")
    assert (await user.run("scan", str(repository), "--no-history")).code == 0
    assert (await user.run("scan", str(tmp_path))).code == 2
