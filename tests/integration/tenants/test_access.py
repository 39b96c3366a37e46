"""Who may do what in a running installation: every kind, verb and subresource that discovery names, over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.wait import until

METHODS = {
    "get": "GET", "list": "GET", "create": "POST", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETE",
}  # fmt: skip
TEAM, OTHER = "violet", "foreign"


@dataclass(frozen=True, slots=True)
class Team:
    """A team with its kubectl and its token."""

    kubectl: Kubectl
    token: str


@pytest.fixture(scope="module")
def team(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A team, and a namespace that is not its own."""
    file = tmp_path_factory.mktemp("team") / "kubeconfig"
    out = installation.do("teams create", TEAM, "--out", str(file))
    assert f"{installation.url}/git/{TEAM}/REPOSITORY.git" in out
    assert file.stat().st_mode & 0o777 == 0o600
    admin = installation.kubectl()
    admin("create", "namespace", OTHER)
    admin("create", "secret", "generic", "hidden", "-n", OTHER, "--from-literal=a=b")
    token = next(line.split('"')[1] for line in file.read_text().splitlines() if "token:" in line)
    return Team(installation.kubectl(kubeconfig=file), token)


def endpoints(installation: Installation, namespace: str) -> Iterator[tuple[str, str, str]]:
    """(verb, method, path) of everything that discovery names, for objects that are not there."""
    token = installation.token()
    versions = [("/api/v1", "")]
    groups = json.loads(installation.request("GET", "/apis", token)[1])["groups"]
    versions += [(f"/apis/{one['groupVersion']}", one["groupVersion"]) for group in groups for one in group["versions"]]
    for prefix, _ in versions:
        for resource in json.loads(installation.request("GET", prefix, token)[1])["resources"]:
            plural, _, subresource = resource["name"].partition("/")
            where = f"/namespaces/{namespace}" if resource["namespaced"] else ""
            for verb in resource["verbs"]:
                if verb not in METHODS:
                    continue
                name = (
                    "" if verb in {"list", "deletecollection"} or (verb == "create" and not subresource) else "/absent"
                )
                path = f"{prefix}{where}/{plural}{name}{f'/{subresource}' if subresource else ''}"
                yield verb, METHODS[verb], path


ABOUT_ONESELF = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}
NARROWED = {"namespaces", "tenants"}
"""Lists of which everybody gets the part that they may get."""


def test_nobody_may_do_anything(installation: Installation) -> None:
    asked = list(endpoints(installation, OTHER))
    assert len(asked) > 100
    for verb, method, path in asked:
        for token in ("", "wrong"):
            code, body = installation.request(method, path, token, b"{}")
            assert code == 401, (verb, path, body)
            assert json.loads(body)["reason"] == "Unauthorized"


def test_a_team_may_do_nothing_in_a_namespace_of_another(installation: Installation, team: Team) -> None:
    for verb, method, path in endpoints(installation, OTHER):
        if path.startswith("/apis/moorage.io/") or path.rsplit("/", 1)[1] in ABOUT_ONESELF:
            continue  # open to all: each member is judged by itself, see below; and questions about oneself
        code, body = installation.request(method, path, team.token, b"{}")
        if verb == "list" and path.rsplit("/", 1)[1] in NARROWED:
            names = [item["metadata"]["name"] for item in json.loads(body)["items"]]
            assert (code, set(names) <= {TEAM}) == (200, True), (path, names)
            continue
        # Owners of a tenant make namespaces, in their own tenant's name: this body is none yet.
        made = verb == "create" and path.endswith("/namespaces")
        assert code in ({422} if made else {403, 405}), (verb, path, code, body)
        if code == 403:
            message = json.loads(body)["message"]
            assert f'User "team:{TEAM}" cannot {verb}' in message


@pytest.mark.parametrize("identity", ["node-test-node", "controllers"])
def test_the_parts_hand_out_nothing(installation: Installation, identity: str) -> None:
    token = installation.token(identity)
    for spec in ({"name": "x", "user": "eve"}, {"name": "x", "team": "red"}, {"name": "x", "node": "other"}):
        asked = {"apiVersion": "moorage.io/v1", "kind": "Token", "spec": spec}
        code, body = installation.request("POST", "/apis/moorage.io/v1/tokens", token, json.dumps(asked).encode())
        assert code == 403, body
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted"}}
    path = f"/api/v1/namespaces/{OTHER}/secrets"
    assert installation.request("POST", path, token, json.dumps(secret).encode())[0] == 403


def test_a_node_reads_no_secret_that_no_pod_of_it_names(installation: Installation, team: Team) -> None:
    token = installation.token("node-test-node")
    for path in (
        f"/api/v1/namespaces/{OTHER}/secrets/hidden",
        f"/api/v1/namespaces/{OTHER}/secrets",
        "/api/v1/secrets",
    ):
        code, body = installation.request("GET", path, token)
        assert code == 403, body
    assert installation.request("GET", "/api/v1/nodes/test-node", token)[0] == 200
    assert installation.request("GET", "/api/v1/nodes/other", token)[0] == 403


def test_a_team_works_in_its_own(team: Team) -> None:
    kubectl = team.kubectl
    assert kubectl("create", "configmap", "a", "--from-literal=a=b") == "configmap/a created"
    assert kubectl("get", "configmap", "a", "-o", "jsonpath={.data.a}") == "b"
    assert kubectl("get", "namespace", TEAM, "-o", "name") == f"namespace/{TEAM}"
    refused = kubectl.attempt("get", "pods", "-n", OTHER)
    assert refused.err == (
        f'Error from server (Forbidden): pods is forbidden: User "team:{TEAM}" cannot list resource "pods" in API group "" '
        f'in the namespace "{OTHER}"'
    )
    refused = kubectl.attempt("get", "pods", "-A")
    assert 'cannot list resource "pods" in API group "" at the cluster scope' in refused.err
    assert kubectl.attempt("get", "nodes").code == 1


@pytest.mark.parametrize("type_", ["application/merge-patch+json", "application/strategic-merge-patch+json"])
@pytest.mark.parametrize("path", [f"/{OTHER}", f"/{OTHER}/status", f"/{OTHER}/finalize", f"/{TEAM}/status"])
def test_a_team_takes_no_namespace_by_its_label(installation: Installation, team: Team, path: str, type_: str) -> None:
    patch = json.dumps({"metadata": {"labels": {"tenancy.moorage.io/tenant": TEAM}}}).encode()
    code, body = installation.request("PATCH", f"/api/v1/namespaces{path}", team.token, patch)
    assert code in {403, 405}, body
    assert installation.request("PUT", f"/api/v1/namespaces{path}", team.token, patch)[0] in {403, 405}


def test_a_team_gives_no_namespace_away(team: Team) -> None:
    for value in ("somebody", ""):
        refused = team.kubectl.attempt("label", "namespace", TEAM, f"tenancy.moorage.io/tenant={value}", "--overwrite")
        assert (refused.code, "is forbidden" in refused.err) == (1, True), refused


def test_a_transaction_is_judged_member_by_member(installation: Installation, team: Team) -> None:
    def apply(namespace: str) -> dict[str, Any]:
        metadata = {"name": "member", "namespace": namespace}
        return {"verb": "apply", "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}}

    document = {
        "apiVersion": "moorage.io/v1",
        "kind": "Transaction",
        "spec": {"fieldManager": "test", "operations": [apply(TEAM), apply(OTHER)]},
    }
    code, body = installation.request(
        "POST", "/apis/moorage.io/v1/transactions", team.token, json.dumps(document).encode()
    )
    assert code == 403, body
    assert "operations[1]" in body
    assert team.kubectl.attempt("get", "configmap", "member").code == 1


def test_a_label_of_the_administrator_gives_and_takes(installation: Installation, team: Team) -> None:
    admin = installation.kubectl()
    admin("create", "namespace", "lent")
    assert team.kubectl.attempt("get", "pods", "-n", "lent").code == 1
    admin("label", "namespace", "lent", f"tenancy.moorage.io/tenant={TEAM}")
    assert team.kubectl("get", "pods", "-n", "lent", "-o", "name") == ""
    admin("label", "namespace", "lent", "tenancy.moorage.io/tenant-")
    assert team.kubectl.attempt("get", "pods", "-n", "lent").code == 1


async def test_a_revoked_token_is_refused_within_seconds(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "token"
    installation.do("tokens create", "--user", "ann", "--ttl", "1h", "--description", "for a test", "--out", str(file))
    token = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    code, body = installation.request("GET", "/api/v1/pods", token)
    assert (code, 'User "ann" cannot list' in json.loads(body)["message"]) == (403, True)
    row = next(line for line in installation.do("tokens list").splitlines() if "for a test" in line)
    assert token not in installation.do("tokens list", "--output", "json")
    assert installation.do("tokens revoke", row.split()[0]).endswith("is revoked")
    await until(lambda: installation.request("GET", "/api/v1/pods", token)[0] == 401, timeout=5)
    assert "there is no token" in installation.run("tokens revoke", row.split()[0]).err


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "say what the token is for"),
        ({"team": "a", "node": "b"}, "at most one of"),
        ({"team": "kube-system"}, "reserved for the platform"),
        ({"team": "A_b"}, "spec.team: Invalid value"),
        ({"user": "system:node:x"}, "belong to the platform"),
        ({"team": "a", "ttlSeconds": 1}, "spec.ttlSeconds: Invalid value: 1"),
        ({"team": "a", "ttlSeconds": "1h"}, "spec.ttlSeconds"),
        ({"user": "x", "groups": "system:masters"}, "spec.groups"),
        ({"team": "a", "colour": "blue"}, "unknown field"),
    ],
)
def test_bad_tokens_are_refused_by_field(installation: Installation, spec: dict[str, Any], words: str) -> None:
    body = json.dumps({"apiVersion": "moorage.io/v1", "kind": "Token", "spec": spec}).encode()
    code, answer = installation.request("POST", "/apis/moorage.io/v1/tokens", installation.token(), body)
    assert code in {400, 422}, answer
    assert words in answer


def test_broken_bodies_are_refused(installation: Installation) -> None:
    for body, expected in ((b"{", 400), (b"[]", 422), (b"x" * 100_000, 413)):
        assert installation.request("POST", "/apis/moorage.io/v1/tokens", installation.token(), body)[0] == expected
