"""A node that was taken over, or never was one: what its credential gives beyond its own pods."""

from __future__ import annotations

import hashlib
import secrets

import pytest

from tests.attacks.arena import NAMESPACES, NODE_CREDENTIALS, TOKENS, Arena, join, pod, transaction
from tests.attacks.caller import Caller, refused
from tests.support.rest import Document

OTHER = "test-node"


def credential(caller: Caller, secret: str) -> int:
    """The answer to an exchange of the caller's token for ``secret``."""
    spec = {"sha256": hashlib.sha256(secret.encode()).hexdigest()}
    return caller.send("POST", NODE_CREDENTIALS, {"spec": spec}).code


@pytest.fixture(scope="module", autouse=True)
def nodes_and_pods(arena: Arena) -> None:
    """The attacker's node is registered; the victim has a pod on another that mounts its Secret."""
    arena.node.create("/api/v1/nodes", {"metadata": {"name": arena.node_name}})
    volumes = [{"name": "s", "secret": {"secretName": "db"}}]
    placed = pod("elsewhere", nodeSelector={}, nodeName=OTHER, volumes=volumes)
    arena.victim.caller.create(arena.victim.at("pods"), placed)


def test_pods_and_what_they_name_on_other_nodes(arena: Arena) -> None:
    """A node reads what pods bound to it name, and nothing else."""
    victim, node = arena.victim, arena.node
    for path in (
        victim.at("secrets", "db"),
        victim.at("configmaps", "settings"),
        victim.at("pods", "elsewhere"),
        victim.at("secrets"),
        "/api/v1/secrets",
        "/api/v1/pods",
        f"/api/v1/pods?fieldSelector=spec.nodeName%3D{OTHER}",
        "/api/v1/pods?fieldSelector=spec.nodeName!%3Dx",
        f"/api/v1/nodes/{OTHER}",
        f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{OTHER}",
        "/apis/tenancy.moorage.io/v1/tenants",
    ):
        answer = node.send("GET", path)
        assert arena.canary not in answer.text
        assert answer.code == 403 or answer.document.get("items") == [], (path, answer.text)
        if "fieldSelector" in path:
            refused(node.send("GET", f"{path}&watch=1&fieldSelector=spec.nodeName%3D{arena.node_name}"), 200, 400, 403)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    refused(node.send("POST", victim.at("serviceaccounts", "default/token"), asked))


def test_a_node_gives_itself_no_pods(arena: Arena) -> None:
    """It neither makes nor binds nor changes pods, nor writes the status of another node's."""
    victim, node = arena.victim, arena.node
    mirror = pod("mirror", nodeSelector={}, nodeName=arena.node_name)
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    refused(node.send("POST", victim.at("pods"), mirror))
    refused(node.send("POST", f"{NAMESPACES}/kube-system/pods", mirror))
    target = {"kind": "Node", "name": arena.node_name}
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "web", "namespace": victim.namespace},
        "target": target,
    }
    refused(node.send("POST", victim.at("pods", "web/binding"), binding))
    steps = transaction({"verb": "create", "subresource": "binding", "object": binding})
    refused(node.send("POST", "/apis/moorage.io/v1/transactions", steps))
    for name in ("web", "elsewhere"):
        refused(node.merge(victim.at("pods", name), {"metadata": {"labels": {"a": "b"}}}))
        refused(node.merge(victim.at("pods", f"{name}/status"), {"status": {"podIP": "10.0.0.1"}}))
        refused(node.send("DELETE", victim.at("pods", name)))
        refused(node.send("POST", victim.at("pods", f"{name}/eviction"), {"metadata": {"name": name}}), 403, 404)


def test_a_node_is_only_itself(arena: Arena) -> None:
    """Neither another's object and lease nor, on its own, what decides which pods it is given."""
    node, own = arena.node, f"/api/v1/nodes/{arena.node_name}"
    refused(node.send("POST", "/api/v1/nodes", {"metadata": {"name": f"{arena.node_name}-2"}}))
    changes: list[Document] = [
        {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}},
        {"metadata": {"labels": {"node-restriction.kubernetes.io/pool": "x"}}},
        {"metadata": {"labels": {"tenancy.moorage.io/pool": arena.victim.tenant}}},
        {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "x"}]}},
    ]
    for change in changes:
        refused(node.merge(own, change))
        refused(node.merge(f"{own}/status", change), 200, 403)
        stored = arena.admin.get(own)
        assert not set(change.get("metadata", {}).get("labels", {})) & set(stored["metadata"].get("labels", {}))
        assert not stored["spec"].get("taints")
        refused(node.merge(f"/api/v1/nodes/{OTHER}", change))
        refused(node.merge(f"/api/v1/nodes/{OTHER}/status", change))
    refused(node.send("DELETE", f"/api/v1/nodes/{OTHER}"))
    refused(node.send("DELETE", own))
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    refused(node.merge(f"{leases}/{OTHER}", {"spec": {"holderIdentity": "x"}}))
    refused(node.send("POST", leases, {"metadata": {"name": f"{OTHER}-2"}}))
    refused(
        node.send(
            "POST",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
            {"metadata": {"name": arena.node_name}},
        )
    )
    refused(node.merge("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/moorage-controllers", {"spec": {}}))


def test_join_tokens_join_once(arena: Arena) -> None:
    """Used, revoked and foreign ones join nothing; a credential is renewed by itself only, never into another."""
    admin = arena.admin
    token = arena.as_(arena.token(node=f"{arena.node_name}-reused"))
    first = secrets.token_urlsafe(32)
    assert credential(token, first) == 201
    assert credential(token, secrets.token_urlsafe(32)) == 401
    assert token.send("GET", f"/api/v1/nodes/{arena.node_name}-reused").code == 401
    revoked = arena.token(node=f"{arena.node_name}-revoked")
    user = f"system:node:{arena.node_name}-revoked"
    (row,) = [item for item in admin.get(TOKENS)["items"] if item["spec"]["user"] == user]
    assert admin.send("DELETE", f"{TOKENS}/{row['metadata']['name']}").code == 200
    assert credential(arena.as_(revoked), secrets.token_urlsafe(32)) == 401
    own = hashlib.sha256(arena.node.token.encode()).hexdigest()
    # Somebody else's secret, by its hash, and a token that is none of a node's.
    assert arena.as_(first).send("POST", NODE_CREDENTIALS, {"spec": {"sha256": own}}).code == 409
    for caller in (arena.mallory, arena.robot):
        assert credential(caller, secrets.token_urlsafe(32)) in (401, 403, 404)
    for bad in ("", "x" * 64, "0" * 63, None, ["0" * 64], "0" * 64 + "\u0000"):
        assert arena.as_(first).send("POST", NODE_CREDENTIALS, {"spec": {"sha256": bad}}).code in (400, 422)


def test_names_that_are_no_nodes(arena: Arena) -> None:
    """A node cannot be called so that its user is somebody else's, or nobody's."""
    for name in ("", "../x", "A", "a b", "system:node:x", "a/b", "x" * 254, "\u00e9", "a\u0000"):
        answer = arena.admin.send("POST", TOKENS, {"spec": {"node": name}})
        assert answer.code in (400, 403, 422), (name, answer.text)


def test_a_second_node_of_the_same_name_is_told_apart(arena: Arena) -> None:
    """Who joins as a name that exists already has its own credential; revoking one ends it alone."""
    again = arena.as_(join(arena, arena.node_name))
    assert again.send("GET", f"/api/v1/nodes/{arena.node_name}").code == 200
    items = arena.admin.get(TOKENS)["items"]
    held = [
        item
        for item in items
        if item["spec"]["user"] == f"system:node:{arena.node_name}" and item["spec"]["kind"] == "node"
    ]
    newest = max(held, key=lambda item: item["metadata"]["creationTimestamp"])
    arena.admin.send("DELETE", f"{TOKENS}/{newest['metadata']['name']}")
    codes = {caller.send("GET", f"/api/v1/nodes/{arena.node_name}").code for caller in (again, arena.node)}
    assert codes == {200, 401}
