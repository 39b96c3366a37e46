"""kubectl on objects that need no node: get, apply, create, edit, patch, label, delete, diff, explain, api-resources."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conformance.manifests import configmap, deployment
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl


def test_version_and_cluster_info(kubectl: Kubectl) -> None:
    server = kubectl.json("version")["serverVersion"]
    assert (server["major"], server["minor"]) == ("1", "36")
    assert server["gitVersion"].startswith("v1.36.")
    assert "is running at" in kubectl("cluster-info")


def test_api_resources_lists_every_kind(kubectl: Kubectl) -> None:
    every = [line.split() for line in kubectl("api-resources", "--no-headers").splitlines()]
    rows = {row[0]: row for row in every if "metrics.k8s.io/v1beta1" not in row}  # it has pods and nodes, too
    assert {
        "namespaces", "nodes", "pods", "services", "configmaps", "secrets", "events", "serviceaccounts",
        "leases", "deployments", "replicasets", "applications", "repositories",
    } <= set(rows)  # fmt: skip
    assert rows["pods"] == ["pods", "po", "v1", "true", "Pod"]
    assert rows["deployments"] == ["deployments", "deploy", "apps/v1", "true", "Deployment"]
    assert rows["nodes"][-2:] == ["false", "Node"]
    verbs = kubectl("api-resources", "-o", "wide", "--api-group", "apps")
    assert "create,delete,deletecollection,get,list,patch,update,watch" in verbs
    versions = kubectl("api-versions").splitlines()
    assert {"v1", "apps/v1", "coordination.k8s.io/v1", "gitops.moorage.io/v1"} <= set(versions)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("pods", ["KIND:       Pod", "VERSION:    v1", "spec\t<PodSpec>"]),
        ("pod.spec.containers.livenessProbe.httpGet", ["FIELDS:", "path\t<string>", "port\t<IntOrString> -required-"]),
        ("deployment.spec.strategy.rollingUpdate", ["maxSurge\t<IntOrString>", "maxUnavailable\t<IntOrString>"]),
        ("applications.spec", ["FIELDS:"]),
    ],
)
def test_explain(kubectl: Kubectl, path: str, words: list[str]) -> None:
    text = kubectl("explain", path)
    for word in words:
        assert word in text


def test_explain_recursive_and_what_is_not_there(kubectl: Kubectl) -> None:
    assert "containerPort\t<integer> -required-" in kubectl("explain", "pod", "--recursive")
    refused = kubectl.attempt("explain", "pod.spec.nonsense")
    assert refused.code == 1
    assert "does not exist" in refused.err


def test_create_from_a_file_and_by_generators(kubectl: Kubectl) -> None:
    assert kubectl("create", "-f", "-", stdin=configmap("a", key="value")) == "configmap/a created"
    assert kubectl("create", "configmap", "b", "--from-literal=key=value") == "configmap/b created"
    assert kubectl.json("get", "configmap", "b")["data"] == {"key": "value"}
    assert kubectl("create", "secret", "generic", "s", "--from-literal=password=hush") == "secret/s created"
    assert kubectl.json("get", "secret", "s")["data"] == {"password": "aHVzaA=="}
    assert kubectl("create", "serviceaccount", "robot") == "serviceaccount/robot created"
    assert kubectl("create", "deployment", "d", "--image=x:1", "--replicas=0") == "deployment.apps/d created"
    assert kubectl.json("get", "deployment", "d")["spec"]["template"]["spec"]["containers"][0]["image"] == "x:1"
    assert kubectl("create", "service", "clusterip", "web", "--tcp=80:8080") == "service/web created"
    twice = kubectl.attempt("create", "-f", "-", stdin=configmap("a"))
    assert twice.err == 'Error from server (AlreadyExists): error when creating "STDIN": configmaps "a" already exists'


def test_create_a_namespace(installation: Installation, kubectl: Kubectl, namespace: str) -> None:
    other = f"{namespace}-b"
    assert kubectl("create", "namespace", other) == f"namespace/{other} created"
    assert kubectl("delete", "namespace", other) == f'namespace "{other}" deleted'
    missing = kubectl.attempt("get", "namespace", other)
    assert missing.err == f'Error from server (NotFound): namespaces "{other}" not found'


def test_apply_creates_configures_and_leaves_alone(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=configmap("a", one="1", two="2")) == "configmap/a created"
    assert kubectl("apply", "-f", "-", stdin=configmap("a", one="1", two="2")) == "configmap/a unchanged"
    assert kubectl("apply", "-f", "-", stdin=configmap("a", one="changed")) == "configmap/a configured"
    assert kubectl.json("get", "configmap", "a")["data"] == {"one": "changed"}


def test_apply_keeps_what_others_set(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("d", "x:1", replicas=0))
    kubectl("set", "env", "deployment/d", "ADDED=yes")
    kubectl("apply", "-f", "-", stdin=deployment("d", "x:2", replicas=0))
    container = kubectl.json("get", "deployment", "d")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "x:2"
    assert container["env"] == [{"name": "ADDED", "value": "yes"}]


def test_server_side_apply_tells_of_conflicts(kubectl: Kubectl) -> None:
    one, two = configmap("a", key="one"), configmap("a", key="two")
    assert kubectl("apply", "--server-side", "-f", "-", stdin=one) == "configmap/a serverside-applied"
    refused = kubectl.attempt("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=two)
    assert refused.code == 1
    assert 'conflict with "kubectl": .data.key' in refused.err
    kubectl("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=two)
    assert kubectl.json("get", "configmap", "a")["data"] == {"key": "two"}
    managers = json.loads(kubectl("get", "configmap", "a", "-o", "json", "--show-managed-fields"))["metadata"]
    assert "other" in {entry["manager"] for entry in managers["managedFields"]}


def test_client_side_apply_can_become_server_side(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=configmap("a", one="1", two="2"))
    kubectl("apply", "--server-side", "-f", "-", stdin=configmap("a", one="1"))
    assert kubectl.json("get", "configmap", "a")["data"] == {"one": "1"}


def test_dry_run_changes_nothing(kubectl: Kubectl) -> None:
    for how in (["apply"], ["apply", "--server-side"], ["create"]):
        out = kubectl(*how, "--dry-run=server", "-f", "-", stdin=configmap("a", key="value"))
        assert out.endswith("(server dry run)")
    assert kubectl("get", "configmap", "-o", "name") in {"", "configmap/kube-root-ca.crt"}


def test_diff(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=configmap("a", key="one"))
    same = kubectl.attempt("diff", "-f", "-", stdin=configmap("a", key="one"))
    assert (same.code, same.out) == (0, "")
    other = kubectl.attempt("diff", "-f", "-", stdin=configmap("a", key="two"))
    assert other.code == 1
    assert "-  key: one" in other.out
    assert "+  key: two" in other.out


@pytest.mark.parametrize(
    ("type_", "patch", "expected"),
    [
        ("merge", '{"data":{"b":"2","a":null}}', {"b": "2"}),
        ("strategic", '{"data":{"b":"2"}}', {"a": "1", "b": "2"}),
        ("json", '[{"op":"replace","path":"/data/a","value":"3"}]', {"a": "3"}),
    ],
)
def test_patch(kubectl: Kubectl, type_: str, patch: str, expected: dict[str, str]) -> None:
    kubectl("apply", "-f", "-", stdin=configmap("a", a="1"))
    assert kubectl("patch", "configmap", "a", "--type", type_, "-p", patch) == "configmap/a patched"
    assert kubectl.json("get", "configmap", "a")["data"] == expected


def test_edit(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("apply", "-f", "-", stdin=configmap("a", key="before"))
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/before/after/ "$1"\n')
    editor.chmod(0o755)
    edited = kubectl.attempt("edit", "configmap", "a", KUBE_EDITOR=str(editor))
    assert edited.out == "configmap/a edited", edited.err
    assert kubectl.json("get", "configmap", "a")["data"] == {"key": "after"}


def test_edit_shows_what_is_wrong_and_keeps_the_object(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("d", "x:1", replicas=0))
    editor, seen = tmp_path / "editor", tmp_path / "seen"
    editor.write_text(f'#!/bin/sh\nsed -i "s/replicas: 0/replicas: -1/" "$1"\ncp "$1" {seen}\n')
    editor.chmod(0o755)
    edited = kubectl.attempt("edit", "deployment", "d", KUBE_EDITOR=str(editor), TMPDIR=str(tmp_path))
    assert edited.code != 0
    assert 'deployments.apps "d" is invalid' in edited.err
    assert "# * spec.replicas: Invalid value: -1: must be greater than or equal to 0" in seen.read_text()
    assert kubectl.json("get", "deployment", "d")["spec"]["replicas"] == 0


def test_label_annotate_and_select(kubectl: Kubectl) -> None:
    for name, tier in (("a", "front"), ("b", "back"), ("c", "back")):
        kubectl("apply", "-f", "-", stdin=configmap(name))
        assert kubectl("label", "configmap", name, f"tier={tier}") == f"configmap/{name} labeled"
    kubectl("annotate", "configmap", "a", "note=hello")
    assert kubectl.json("get", "configmap", "a")["metadata"]["annotations"]["note"] == "hello"
    assert kubectl("get", "configmap", "-l", "tier=back", "-o", "name").split() == ["configmap/b", "configmap/c"]
    assert kubectl("get", "configmap", "-l", "tier notin (back),tier", "-o", "name") == "configmap/a"
    assert kubectl("get", "configmap", "--field-selector", "metadata.name=c", "-o", "name") == "configmap/c"
    assert kubectl("delete", "configmap", "-l", "tier=back").splitlines()[0].startswith('configmap "b" deleted')
    assert kubectl("get", "configmap", "-l", "tier", "-o", "name") == "configmap/a"


def test_get_in_every_form(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-f", "-", stdin=configmap("a", key="value"))
    header, row = kubectl("get", "configmap", "a").splitlines()
    assert header.split() == ["NAME", "DATA", "AGE"]
    assert re.fullmatch(r"a +1 +\d+s", row)
    assert "key: value" in kubectl("get", "configmap", "a", "-o", "yaml")
    assert kubectl("get", "configmap", "a", "-o", "jsonpath={.data.key}") == "value"
    assert kubectl("get", "configmap", "a", "-o", "go-template={{.data.key}}") == "value"
    columns = kubectl("get", "configmap", "a", "-o", "custom-columns=N:.metadata.name,K:.data.key").splitlines()
    assert [line.split() for line in columns] == [["N", "K"], ["a", "value"]]
    assert kubectl("get", f"--raw=/api/v1/namespaces/{namespace}/configmaps/a").startswith('{"')
    everywhere = kubectl("get", "configmap", "-A", "--no-headers").splitlines()
    assert [namespace, "a"] in [line.split()[:2] for line in everywhere]
    assert kubectl("get", "configmap", "--chunk-size=1", "-o", "name").splitlines() == sorted(
        kubectl("get", "configmap", "-o", "name").splitlines()
    )


def test_watch_shows_changes_as_they_come(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=configmap("a", key="1"))
    with kubectl.started("get", "configmap", "a", "--watch", "-o", "jsonpath={.data.key}{'\\n'}") as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == "1\n"
        for value in ("2", "3"):
            kubectl("patch", "configmap", "a", "--type=merge", "-p", json.dumps({"data": {"key": value}}))
            assert watch.stdout.readline() == f"{value}\n"


def test_replace_needs_the_version_that_was_read(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=configmap("a", key="1"))
    read = kubectl("get", "configmap", "a", "-o", "json")
    kubectl("patch", "configmap", "a", "--type=merge", "-p", '{"data":{"key":"2"}}')
    stale = kubectl.attempt("replace", "-f", "-", stdin=read)
    assert "the object has been modified; please apply your changes to the latest version and try again" in stale.err
    fresh = kubectl("get", "configmap", "a", "-o", "json").replace('"2"', '"3"')
    assert kubectl("replace", "-f", "-", stdin=fresh) == "configmap/a replaced"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Bad_Name"}, ['Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain']),
        ({"image": ""}, ["spec.template.spec.containers[0].image: Required value"]),
        ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        ({"ports": [{"containerPort": 99999}]}, ["containerPort: Invalid value: 99999: must be between 1 and 65535"]),
        ({"imagePullPolicy": "Often"}, ['imagePullPolicy: Unsupported value: "Often"', '"Always", "IfNotPresent", "Never"']),
        ({"nonsense": 1}, ["unknown field", "nonsense"]),
    ],
)  # fmt: skip
def test_mistakes_are_named_by_field_and_nothing_is_stored(
    kubectl: Kubectl, change: dict[str, object], words: list[str]
) -> None:
    arguments: dict[str, object] = {"name": "d", "image": "x:1", **change}
    refused = kubectl.attempt("apply", "-f", "-", stdin=deployment(**arguments))  # type: ignore[arg-type] # the point
    assert refused.code == 1
    for word in words:
        assert word in refused.err
    assert kubectl("get", "deployments", "-o", "name") == ""


def test_delete_what_is_not_there(kubectl: Kubectl) -> None:
    missing = kubectl.attempt("delete", "configmap", "none")
    assert missing.err == 'Error from server (NotFound): configmaps "none" not found'
    assert kubectl.attempt("delete", "configmap", "none", "--ignore-not-found").code == 0
    unknown = kubectl.attempt("get", "unicorns")
    assert unknown.err == 'error: the server doesn\'t have a resource type "unicorns"'


def test_describe_without_a_node(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=configmap("a", key="value"))
    text = kubectl("describe", "configmap", "a")
    assert re.search(r"Name: +a\n", text)
    assert "key:\n----\nvalue" in text
    kubectl("create", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hush"},
    }))  # fmt: skip
    text = kubectl("describe", "secret", "s")
    assert re.search(r"password: +4 bytes", text)
    assert "hush" not in text
