"""Secrets stay secret: canaries are put wherever secrets go, and then looked for wherever they must not be."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from moorage.supervisor.postgres import SUPERUSER, Postgres
from tests.support.canaries import Canaries, files, processes, unpacked
from tests.support.docker import IMAGE, containers, import_image
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl, Result
from tests.support.repository import Repository
from tests.support.rest import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC, Rest

SPACE = "canary"
CORE = f"/api/v1/namespaces/{SPACE}"

pytestmark = pytest.mark.docker


@dataclass
class Planted:
    """Where canaries are, and what everybody was told while they were planted."""

    installation: Installation
    canaries: Canaries
    kubectl: Kubectl
    rest: Rest
    told: dict[str, str] = field(default_factory=dict)

    def value(self, way: str) -> str:
        return self.canaries.value(way)

    def encoded(self, way: str) -> str:
        return base64.b64encode(self.value(way).encode()).decode()

    def done(self, way: str, result: Result) -> None:
        """Something that must succeed, and say nothing."""
        assert result.code == 0, f"{way}: {result.err}"
        self.told[way] = result.out + result.err

    def refused(self, way: str, method: str, path: str, body: Any, content: str = "application/json") -> None:
        """Something that must be refused, and say nothing."""
        answer = self.rest.request(method, path, body, content, **({"fieldManager": "x"} if content == APPLY else {}))
        assert answer.code >= 400, f"{way}: {answer.code} {answer.text}"
        self.told[way] = answer.text + str(answer.headers)


@pytest.fixture(scope="module")
def planted(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    import_image()
    kubectl = installation.kubectl(SPACE)
    kubectl("create", "namespace", SPACE)
    with closing(Rest(installation)) as rest:
        made = Planted(installation, Canaries(), kubectl, rest)
        by_kubectl(made)
        in_config_maps(made)
        by_our_commands(made, tmp_path_factory.mktemp("canary"))
        wrongly(made)
        wrongly_by_patches(made)
        by_git(made, tmp_path_factory.mktemp("git"))
        in_pods(made)
        yield made
    kubectl("delete", "namespace", SPACE, "--wait=false")


def secret(name: str, **fields: Any) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **fields})


def by_kubectl(made: Planted) -> None:
    attempt, value = made.kubectl.attempt, made.value
    literal = f"--from-literal=password={value('create')}"
    made.done("create", attempt("create", "secret", "generic", "created", literal))
    document = secret("applied", stringData={"password": value("apply")})
    made.done("apply", attempt("apply", "-f", "-", stdin=document))
    again = secret("applied", stringData={"password": value("apply-again")})
    made.done("apply again", attempt("apply", "-f", "-", stdin=again))
    assert "last-applied-configuration" in made.kubectl("get", "secret", "applied", "-o", "yaml")
    served = secret("served", data={"password": made.encoded("server-side")})
    made.done("server-side", attempt("apply", "--server-side", "-f", "-", stdin=served))
    for way, arguments in {
        "dry run": ("apply", "--dry-run=server", "-f", "-"),
        "dry run of an apply": ("apply", "--server-side", "--dry-run=server", "-f", "-"),
    }.items():
        made.done(way, attempt(*arguments, stdin=secret("dry", stringData={"a": value("dry")})))
    change = json.dumps({"stringData": {"password": value("patch")}})
    made.done("patch", attempt("patch", "secret", "created", "--type=merge", "-p", change))
    steps = json.dumps([{"op": "replace", "path": "/data/password", "value": made.encoded("json-patch")}])
    made.done("json patch", attempt("patch", "secret", "created", "--type=json", "-p", steps))
    made.done("annotate", attempt("annotate", "secret", "created", "try=1"))
    made.done("delete", attempt("create", "secret", "generic", "deleted", f"--from-literal=p={value('deleted')}"))
    made.kubectl("delete", "secret", "deleted")


def in_config_maps(made: Planted) -> None:
    """No secret to those who may read it, but kept as one."""
    literal = f"--from-literal=setting={made.value('configmap')}"
    made.done("configmap", made.kubectl.attempt("create", "configmap", "plain", literal))
    made.done("configmap, annotated", made.kubectl.attempt("annotate", "configmap", "plain", "try=1"))
    assert made.kubectl.json("get", "configmap", "plain")["data"] == {"setting": made.value("configmap")}


def by_our_commands(made: Planted, folder: Path) -> None:
    def run(way: str, command: str, *arguments: str, stdin: str) -> str:
        result = made.installation.run(f"secrets {command} -n {SPACE}", *arguments, stdin=stdin)
        made.done(way, result)
        return result.out

    run("set", "set cli password", stdin=made.value("set"))
    run("set again", "set cli password", stdin=made.value("set-again"))
    environment = folder / ".env"
    environment.write_text(f"PASSWORD={made.value('import')}\n")
    run("import", f"import imported {environment}", stdin="")
    run("history", "history cli", stdin="")
    run("rollback", "rollback cli 1 --yes", stdin="")
    sealed = run("seal", "seal sealed password", stdin=made.value("seal"))
    made.done("sealed", made.kubectl.attempt("apply", "-f", "-", stdin=sealed))
    stolen = sealed.replace("name: sealed", "name: other")
    result = made.kubectl.attempt("apply", "-f", "-", stdin=stolen)
    assert result.code == 1
    made.told["a sealed value under another name"] = result.err


def wrongly(made: Planted) -> None:
    """Requests that are refused, with the value where the error is."""
    value, path = made.value("wrong"), f"{CORE}/secrets"
    bodies: dict[str, Any] = {
        "data that is no base64": secret("wrong", data={"password": value}),
        "a list for a text": secret("wrong", stringData={"password": [value]}),
        "an object for a text": secret("wrong", stringData={"password": {"value": value}}),
        "a text for a map": secret("wrong", stringData=value),
        "a list for a map": secret("wrong", data=[value]),
        "broken JSON": secret("wrong", stringData={"password": value})[:-3],
        "more behind the end": secret("wrong", stringData={"password": value}) + value,
        "U+0000": secret("wrong", stringData={"password": value + "\0"}),
        "a lone surrogate": secret("wrong", stringData={"password": value + "\ud800"}),
        "two of one key": f'{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"wrong"}},'
        f'"stringData":{{"a":"{value}","a":"{value}"}}}}',
        "no JSON in a docker config": secret(
            "wrong", type="kubernetes.io/dockerconfigjson", stringData={".dockerconfigjson": value}
        ),
        "a missing key": secret("wrong", type="kubernetes.io/tls", stringData={"tls.crt": value}),
        "too much": secret("wrong", stringData={"password": value + "x" * 1100000}),
        "a wrong name": secret("Wrong_", stringData={"password": value}),
    }
    for way, body in bodies.items():
        made.refused(way, "POST", f"{path}?fieldValidation=Strict", body)
        made.refused(f"{way}, applied", "PATCH", f"{path}/wrong", body, APPLY)
    unknown = secret("wrong", stringdata={"password": value})
    made.refused("an unknown field", "POST", f"{path}?fieldValidation=Strict", unknown)
    bound = {"verb": "create", "object": json.loads(bodies["data that is no base64"])}
    transaction = {"apiVersion": "moorage.io/v1", "kind": "Transaction", "spec": {"operations": [bound]}}
    made.refused("a transaction", "POST", "/apis/moorage.io/v1/transactions", transaction)
    yaml = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: wrong}}\nstringData: {{password: '{value}\n"
    made.refused("broken YAML", "POST", path, yaml, "application/yaml")
    made.refused("broken protobuf", "POST", path, f"k8s\0{value}", "application/vnd.kubernetes.protobuf")


def wrongly_by_patches(made: Planted) -> None:
    path, value = f"{CORE}/secrets/created", made.value("wrong-patch")
    made.refused("a merge patch", "PATCH", path, {"data": {"password": value}}, MERGE_PATCH)
    made.refused("a merge patch with a number", "PATCH", path, {"data": {value: 1}}, MERGE_PATCH)
    made.refused("a strategic patch", "PATCH", path, {"stringData": [value]}, STRATEGIC)
    test = [{"op": "test", "path": "/data/password", "value": value}]
    made.refused("a JSON patch that tests", "PATCH", path, test, JSON_PATCH)
    into = [{"op": "add", "path": "/data/password/deeper", "value": value}]
    made.refused("a JSON patch that leads nowhere", "PATCH", path, into, JSON_PATCH)
    made.refused("a broken patch", "PATCH", path, f'{{"data": {{"password": "{value}"', MERGE_PATCH)
    conflict = secret("served", data={"password": made.encoded("conflict")})
    made.refused("a conflict of appliers", "PATCH", f"{CORE}/secrets/served", conflict, APPLY)
    made.rest.create(f"{CORE}/secrets", json.loads(secret("frozen", immutable=True, stringData={"p": made.value("i")})))
    made.refused("a frozen one", "PATCH", f"{CORE}/secrets/frozen", {"stringData": {"p": value}}, MERGE_PATCH)
    old = json.loads(secret("created", stringData={"password": value}))
    old["metadata"]["resourceVersion"] = "1"
    made.refused("an old version", "PUT", path, old)


def by_git(made: Planted, folder: Path) -> None:
    """A sealed value is pushed and arrives; one in the clear is refused, and is nowhere."""
    repository = Repository(made.installation, folder / "work", SPACE, "shop")
    sealed = made.installation.run(f"secrets seal pushed password -n {SPACE}", stdin=made.value("push"))
    made.done("seal for Git", sealed)
    repository.commit({"sealed.yaml": sealed.out})
    pushed = repository.push()
    made.done("push", pushed)
    assert f"created     SealedSecret {SPACE}/pushed" in pushed.err
    repository.commit({"plain.yaml": secret("plain", stringData={"password": made.value("plain-push")})})
    refused = repository.push()
    assert refused.code == 1
    assert "moorage secrets seal --manifest plain.yaml --in-place" in refused.err
    made.told["a push in the clear"] = refused.err
    repository.commit({"plain.yaml": f"kind: Secret\nstringData: {{p: '{made.value('broken-push')}\n"})
    broken = repository.push()
    assert broken.code == 1
    made.told["a broken push"] = broken.err


def in_pods(made: Planted) -> None:
    """Values in environment and volumes of a pod that runs, and of pods whose programs cannot be started."""
    variable = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "created", "key": "password"}}}
    reader = container('test -s /secret/password && test -n "$PASSWORD" && sleep 3600', env=[variable])
    reader["volumeMounts"] = [{"name": name, "mountPath": f"/{name}"} for name in ("secret", "projected", "plain")]
    volumes = [
        {"name": "secret", "secret": {"secretName": "cli"}},
        {"name": "projected", "projected": {"sources": [{"secret": {"name": "sealed"}}]}},
        {"name": "plain", "configMap": {"name": "plain"}},
    ]
    pod(made, "reader", reader, volumes)
    pod(made, "broken", {**container(""), "command": ["/none"], "env": [variable]})
    missing = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "created", "key": "none"}}}
    pod(made, "spelled", {**container(""), "command": ["/none/$(PASSWORD)"], "env": [variable]})
    pod(made, "missing", container("sleep 3600", env=[variable, missing]))
    made.kubectl("wait", "pod/reader", "--for=condition=Ready", "--timeout=60s")
    for name in ("broken", "spelled", "missing"):
        told = "--for=jsonpath={.status.containerStatuses[0].state.waiting.message}"
        made.kubectl("wait", f"pod/{name}", told, "--timeout=60s")


def container(script: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        **fields,
    }


def pod(made: Planted, name: str, main: dict[str, Any], volumes: list[Any] | None = None) -> None:
    spec = {"terminationGracePeriodSeconds": 0, "containers": [main], "volumes": volumes or []}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    made.kubectl("apply", "-f", "-", stdin=json.dumps(document))


def test_the_search_finds_what_is_there(planted: Planted, tmp_path: Path) -> None:
    """Or else the other tests could not fail."""
    canaries = planted.canaries
    assert canaries.holds(planted.kubectl("get", "secret", "applied", "-o", "json").encode())
    for offset in range(3):
        text = b"x" * offset + planted.value("search").encode()
        for name, data in {
            "plain": text,
            "hex": text.hex().encode(),
            "once": base64.b64encode(text),
            "twice": base64.b64encode(b"y" * offset + base64.b64encode(text)),
        }.items():
            (tmp_path / name).write_bytes(data)
            assert canaries.in_files(tmp_path).keys() == {tmp_path / name}, name
            (tmp_path / name).unlink()
    reader = [pid for pid, data in processes("environ") if canaries.holds(data)]
    assert reader == []


def test_values_arrive(planted: Planted) -> None:
    def of(name: str) -> dict[str, str]:
        data = planted.kubectl.json("get", "secret", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    assert of("created") == {"password": planted.value("json-patch")}
    assert of("cli") == {"password": planted.value("set")}
    assert of("imported") == {"PASSWORD": planted.value("import")}
    assert of("sealed") == {"password": planted.value("seal")}
    assert of("pushed") == {"password": planted.value("push")}
    expected = ("applied", "cli", "created", "frozen", "imported", "pushed", "sealed", "served")
    assert planted.kubectl("get", "secrets", "-o", "name").split() == [f"secret/{name}" for name in expected]


def test_nobody_is_told(planted: Planted) -> None:
    """Answers, their headers, and the words of commands: those of refusals above all."""
    canaries = planted.canaries
    assert len(planted.told) > 50
    assert {
        way: canaries.shown(text.encode()) for way, text in planted.told.items() if canaries.holds(text.encode())
    } == {}


def test_the_database_holds_ciphertext(planted: Planted) -> None:
    """Every column of every table; the data files, with what was deleted from them; the write-ahead log."""
    database = Postgres(planted.installation.data_dir)
    with psycopg.connect(database.url_for("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        names = [row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()]
    searched = []
    for name in names:
        with psycopg.connect(database.url_for(name, SUPERUSER), autocommit=True) as connection:
            tables = connection.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname <> 'pg_catalog'"
            ).fetchall()
            for (table,) in tables:
                rows = connection.execute(f"SELECT t::text FROM {table} t").fetchall()
                found = [text for (row,) in rows for text in planted.canaries.shown(row.encode())]
                assert not found, f"{table}: {found}"
                searched += [table] if rows else []
    assert {"public.objects", "public.secret_versions", "public.audit"} <= {
        each.partition("_2")[0] for each in searched
    }
    assert any("/pg_wal/" in str(path) for path in files(database.place.data))
    assert planted.canaries.in_files(database.place.data) == {}


def test_the_installation_holds_ciphertext(planted: Planted) -> None:
    """Logs, Git, the agent's files (its volumes of secrets are memory), sockets, tokens, kubectl's caches."""
    root = planted.installation.data_dir
    log = (root / "moorage.log").read_text()
    assert "serving" in log
    assert planted.canaries.in_files(root) == {}


def test_packs_hold_what_is_sealed(planted: Planted) -> None:
    repositories = [path for path in (planted.installation.data_dir / "git").iterdir() if path.suffix == ".git"]
    found = dict(unpacked(repositories))
    assert any(b"encryptedData" in data for data in found.values())
    assert {path: planted.canaries.shown(data) for path, data in found.items() if planted.canaries.holds(data)} == {}


def test_no_process_shows_it(planted: Planted) -> None:
    """Arguments and environments of all processes but those in containers: what a pod is given is its own."""
    found = {
        pid: planted.canaries.shown(data)
        for pid, data in processes("cmdline", "environ")
        if planted.canaries.holds(data)
    }
    assert found == {}


def test_the_engine_knows_only_what_a_container_must_be_given(planted: Planted) -> None:
    holding = []
    for identity in containers("moorage.io/pod-namespace=" + SPACE):
        text = subprocess.run(["docker", "inspect", identity], capture_output=True, text=True, check=True).stdout
        (document,) = json.loads(text)
        environment = document["Config"].pop("Env") or []
        if document["Config"]["Labels"]["moorage.io/pod-name"] == "spelled":
            continue  # its command is the value: that is what the engine was asked to run
        assert planted.canaries.shown(json.dumps(document).encode()) == []
        holding += [each for each in environment if planted.canaries.holds(each.encode())]
    assert set(holding) == {f"PASSWORD={planted.value('json-patch')}"}


def test_no_other_object_shows_it(planted: Planted) -> None:
    """Events, statuses, managed fields: every kind that can be listed, in all namespaces."""
    kubectl = planted.kubectl
    kinds = kubectl("api-resources", "--verbs=list", "-o", "name").split()
    assert {"events", "pods", "sealedsecrets.secrets.moorage.io", "secrets"} <= set(kinds)
    listed = kubectl(
        "get", ",".join(sorted({*kinds} - {"secrets", "configmaps"})), "-A", "-o", "json", "--show-managed-fields"
    )
    assert '"reason": "Failed"' in listed
    assert planted.canaries.shown(listed.encode()) == []
    owned = [
        each["metadata"]["managedFields"]
        for each in kubectl.json("get", "secrets", "-A", "--show-managed-fields")["items"]
    ]
    assert "f:password" in json.dumps(owned)
    assert planted.canaries.shown(json.dumps(owned).encode()) == []
    table = kubectl("get", "secrets", "-A", "-o", "wide")
    described = kubectl("describe", "secret", "created")
    assert planted.canaries.shown((table + described).encode()) == []


def test_audit_and_metrics_do_not_show_it(planted: Planted) -> None:
    audit = planted.installation.do("audit", "--namespace", SPACE, "-o", "json")
    assert "secrets" in audit
    assert planted.canaries.shown(audit.encode()) == []
    metrics = planted.rest.request("GET", "/metrics")
    assert metrics.code == 200
    assert planted.canaries.shown(metrics.text.encode()) == []


def holders(root: Path, needles: list[bytes]) -> list[Path]:
    """The files that hold one of ``needles``."""
    return [path for path in files(root) if any(needle in path.read_bytes() for needle in needles)]


def test_tokens_are_in_their_own_files_only(installation: Installation, tmp_path: Path) -> None:
    root = installation.data_dir
    assert {path.name for path in holders(root, [installation.token().encode()])} == {"admin", "kubeconfig"}
    for name in ("controllers", "node-test-node"):
        assert [path.name for path in holders(root, [installation.token(name).encode()])] == [name]
    out = tmp_path / "token"
    installation.do("tokens create", "--team", "canary", "--out", str(out))
    assert holders(root, [out.read_text().strip().encode()]) == []
    kek = (root / "kek").read_text().strip()
    assert [path.name for path in holders(root, [kek.encode(), bytes.fromhex(kek)])] == ["kek"]


def test_files_of_the_installation_are_private(installation: Installation) -> None:
    for path in files(installation.data_dir):
        relative = path.relative_to(installation.data_dir)
        if relative.parts[0] in {"tokens", "kek", "kubeconfig", "moorage.log", "bootstrap-tokens.json"}:
            assert path.stat().st_mode & 0o077 == 0, relative
        if path.suffix == ".key":
            assert path.stat().st_mode & 0o077 == 0, relative
