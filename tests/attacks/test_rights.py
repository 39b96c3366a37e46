"""Getting more rights than a tenant's owner has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.arena import NAMESPACES, RBAC, TENANTS, TOKENS, Arena, config_map, transaction
from tests.attacks.caller import base64_of, refused
from tests.attacks.forgery import signing_request
from tests.support.rest import APPLY, JSON_PATCH, Document

GROUP = "rbac.authorization.k8s.io"
EVERYTHING: Document = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
NODES: Document = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
STRONG = [
    [EVERYTHING],
    [NODES],
    [{"apiGroups": [""], "resources": ["pods/status"], "verbs": ["update"]}],
    [{"apiGroups": [GROUP], "resources": ["roles", "clusterroles"], "verbs": ["escalate", "bind"]}],
    [{"apiGroups": [""], "resources": ["users", "groups"], "verbs": ["impersonate"]}],
    [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
    [{"apiGroups": ["tenancy.moorage.io"], "resources": ["tenants"], "verbs": ["manage"]}],
    [{"apiGroups": ["moorage.io"], "resources": ["tokens"], "verbs": ["create"]}],
]


def role(name: str, rules: list[Document], namespace: str = "") -> Document:
    """A Role, or a ClusterRole."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": metadata,
        "rules": rules,
    }


def binding(name: str, kind: str, to: str, subject: str, namespace: str = "") -> Document:
    """A RoleBinding, or a ClusterRoleBinding, for a user."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name, "namespace": namespace} if namespace else {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": to},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": subject}],
    }


@pytest.mark.parametrize("rules", STRONG)
def test_roles_with_more_than_one_has(arena: Arena, rules: list[Document]) -> None:
    attacker, mallory = arena.attacker, arena.mallory
    roles = attacker.at("roles", group=f"{GROUP}/v1")
    strong = role("strong", rules, attacker.namespace)
    weak = role("weak", [], attacker.namespace)
    mallory.send("POST", roles, weak)
    codes = (403, 422) if "nonResourceURLs" in rules[0] else (403,)
    refused(mallory.send("POST", roles, strong), *codes)
    refused(mallory.send("PUT", f"{roles}/weak", {**weak, "rules": rules}), *codes)
    refused(mallory.merge(f"{roles}/weak", {"rules": rules}), *codes)
    refused(
        mallory.send("PATCH", f"{roles}/weak", [{"op": "add", "path": "/rules", "value": rules}], JSON_PATCH), *codes
    )
    refused(mallory.send("PATCH", f"{roles}/strong?fieldManager=x&force=true", strong, APPLY), *codes)
    refused(
        mallory.send("POST", "/apis/moorage.io/v1/transactions", transaction({"verb": "create", "object": strong})),
        *codes,
    )
    refused(mallory.send("POST", f"{RBAC}/clusterroles", role("strong", rules)))


def test_bindings_to_more_than_one_has(arena: Arena) -> None:
    attacker, mallory = arena.attacker, arena.mallory
    bindings = attacker.at("rolebindings", group=f"{GROUP}/v1")
    for strong in ("cluster-admin", "system:moorage:controllers", "system:node"):
        bound = binding("strong", "ClusterRole", strong, attacker.owner, attacker.namespace)
        refused(mallory.send("POST", bindings, bound), 403, 404)
        refused(mallory.send("PATCH", f"{bindings}/strong?fieldManager=x&force=true", bound, APPLY), 403, 404)
        refused(
            mallory.send("POST", f"{RBAC}/clusterrolebindings", binding("x", "ClusterRole", strong, attacker.owner))
        )
    mallory.create(bindings, binding("weak", "ClusterRole", "view", attacker.owner, attacker.namespace))
    change = {"roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"}}
    refused(mallory.merge(f"{bindings}/weak", change), 403, 422)
    # A role that is bound first and grows afterwards, in one transaction.
    growing = transaction(
        {"verb": "create", "object": role("grows", [], attacker.namespace)},
        {"verb": "create", "object": binding("grows", "Role", "grows", attacker.owner, attacker.namespace)},
        {"verb": "update", "object": role("grows", [EVERYTHING], attacker.namespace)},
    )
    refused(mallory.send("POST", "/apis/moorage.io/v1/transactions", growing))
    refused(mallory.send("GET", "/api/v1/nodes"))


def test_roles_by_aggregation(arena: Arena) -> None:
    """Labels that a gathering role selects count on ClusterRoles only, and those are not the attacker's to write."""
    attacker, mallory = arena.attacker, arena.mallory
    labelled = role("gathered", [NODES])
    labelled["metadata"]["labels"] = {f"{GROUP}/aggregate-to-admin": "true"}
    refused(mallory.send("POST", f"{RBAC}/clusterroles", labelled))
    local = role("gathered", [], attacker.namespace)
    local["metadata"]["labels"] = labelled["metadata"]["labels"]
    mallory.create(attacker.at("roles", group=f"{GROUP}/v1"), local)
    for name in ("admin", "view", "system:aggregate-to-admin"):
        refused(mallory.merge(f"{RBAC}/clusterroles/{name}", {"metadata": {"labels": {"a": "b"}}}))
    refused(mallory.send("GET", "/api/v1/nodes"))


def test_things_of_the_cluster(arena: Arena) -> None:
    """What changes the platform for all is nobody's of a tenant: hooks into the API, classes, nodes, volumes, flows."""
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "attack"},
        "webhooks": [],
    }
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "as.b.c"}}
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.attack.example"},
    }
    wanted: dict[str, Document] = {
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": hook,
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": hook,
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies": {"metadata": {"name": "attack"}},
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": crd,
        "/apis/apiregistration.k8s.io/v1/apiservices": service,
        "/apis/scheduling.k8s.io/v1/priorityclasses": {"metadata": {"name": "attack"}, "value": 10**9},
        "/apis/storage.k8s.io/v1/storageclasses": {"metadata": {"name": "attack"}, "provisioner": "x"},
        "/apis/storage.k8s.io/v1/csidrivers": {"metadata": {"name": "attack"}, "spec": {}},
        "/apis/node.k8s.io/v1/runtimeclasses": {"metadata": {"name": "attack"}, "handler": "runc"},
        "/apis/networking.k8s.io/v1/ingressclasses": {"metadata": {"name": "attack"}},
        "/apis/networking.k8s.io/v1/servicecidrs": {"metadata": {"name": "attack"}, "spec": {"cidrs": ["10.0.0.0/8"]}},
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas": {"metadata": {"name": "attack"}},
        "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations": {"metadata": {"name": "attack"}},
        "/api/v1/persistentvolumes": {"metadata": {"name": "attack"}, "spec": {"hostPath": {"path": "/"}}},
        "/api/v1/nodes": {"metadata": {"name": "attack"}},
        TENANTS: {"metadata": {"name": "attack"}, "spec": {}},
    }
    for path, body in wanted.items():
        for caller in (arena.mallory, arena.robot):
            refused(caller.send("POST", path, body))
            refused(caller.send("DELETE", path))
            refused(caller.send("GET", path), 200 if path == TENANTS else 403)


def test_the_tenants_own_limits(arena: Arena) -> None:
    """An owner changes neither what its Tenant is limited to nor whose it is."""
    attacker, victim, mallory = arena.attacker, arena.victim, arena.mallory
    path = f"{TENANTS}/{attacker.tenant}"
    changes: list[Document] = [
        {"owners": [{"kind": "User", "name": attacker.owner}, {"kind": "User", "name": "eve"}]},
        {"quota": {"hard": {"pods": "1000000"}}},
        {"podSecurity": {"enforce": "privileged"}},
        {"hostPaths": {"allowed": ["/"]}},
        {"network": {"isolation": False}},
        {"priorityClasses": {"allowed": ["*"]}},
        {"nodePools": {"tolerations": [{"operator": "Exists"}]}},
        {"serviceTypes": {"allowed": ["NodePort", "LoadBalancer"], "externalIPs": ["0.0.0.0/0"]}},
        {"namespaces": {"limit": 1000, "labels": {"a": "b"}}},
        {"secrets": {"plainInGit": "Allow"}},
        {"suspended": True},
        {"deletion": {"keepDays": 0}},
        {"members": [{"kind": "User", "name": "eve", "role": "cluster-admin"}]},
        {"members": [{"kind": "User", "name": "eve", "role": "system:moorage:controllers"}]},
        {"members": [{"kind": "Group", "name": "system:authenticated", "role": "admin"}]},
    ]
    before = arena.admin.get(path)["spec"]
    for change in changes:
        refused(mallory.merge(path, {"spec": change}), 403, 422)
        patch = [{"op": "add", "path": f"/spec/{key}", "value": value} for key, value in change.items()]
        refused(mallory.send("PATCH", path, patch, JSON_PATCH), 403, 422)
        whole = {"apiVersion": "tenancy.moorage.io/v1", "kind": "Tenant", "metadata": {"name": attacker.tenant}}
        refused(mallory.send("PATCH", f"{path}?fieldManager=x&force=true", {**whole, "spec": change}, APPLY), 403, 422)
    for metadata in (
        {"labels": {"a": "b"}},
        {"finalizers": ["a.example/b"]},
        {"finalizers": None},
        {"annotations": {"a": "b"}},
    ):
        refused(mallory.merge(path, {"metadata": metadata}))
    refused(mallory.merge(f"{path}/status", {"status": {"namespaces": 0}}))
    refused(mallory.send("DELETE", path))
    refused(mallory.merge(f"{TENANTS}/{victim.tenant}", {"spec": {"members": []}}))
    assert arena.admin.get(path)["spec"] == before


def test_tokens_of_stronger_accounts(arena: Arena) -> None:
    """Neither asked for, nor made by a Secret, nor bound to what is another's."""
    attacker, victim, mallory = arena.attacker, arena.victim, arena.mallory
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    for namespace, name in ((victim.namespace, "deployer"), ("kube-system", "default"), ("default", "default")):
        for caller in (mallory, arena.robot, arena.node):
            refused(caller.send("POST", f"{NAMESPACES}/{namespace}/serviceaccounts/{name}/token", asked))
    own = attacker.at("serviceaccounts", "robot/token")
    foreign = arena.admin.get(victim.at("pods", "web"))["metadata"]
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": foreign["uid"]}
    refused(mallory.send("POST", own, {**asked, "spec": {"boundObjectRef": bound}}), 400, 404, 409, 422)
    inside = {**asked, "metadata": {"name": "deployer", "namespace": victim.namespace}}
    answer = mallory.send("POST", own, inside)
    if answer.code == 201:
        refused(mallory.with_token(answer.document["status"]["token"]).send("GET", victim.at("secrets")))
    legacy = {
        "metadata": {
            "name": "stolen",
            "annotations": {
                "kubernetes.io/service-account.name": f"{victim.namespace}:deployer",
                "kubernetes.io/service-account.uid": foreign["uid"],
            },
        },
        "type": "kubernetes.io/service-account-token",
        "data": {"token": base64_of("x"), "namespace": base64_of(victim.namespace)},
    }
    mallory.send("POST", attacker.at("secrets"), legacy)
    read = mallory.send("GET", attacker.at("secrets", "stolen")).document
    assert (read.get("data") or {}).get("token", base64_of("x")) == base64_of("x")


def test_a_token_makes_no_tokens(arena: Arena) -> None:
    mallory = arena.mallory
    specs: list[Document] = [
        {"name": "more"},
        {"user": "admin"},
        {"user": arena.victim.owner},
        {"user": "eve", "groups": ["system:masters"]},
        {"node": "test-node"},
        {"team": arena.victim.tenant},
        {"name": "more", "groups": ["system:masters"]},
    ]
    for caller in (mallory, arena.robot, arena.node):
        for spec in specs:
            refused(caller.send("POST", TOKENS, {"apiVersion": "moorage.io/v1", "kind": "Token", "spec": spec}), 403)
    for item in arena.admin.get(TOKENS)["items"]:
        if item["spec"]["user"] != arena.attacker.owner:
            refused(mallory.send("DELETE", f"{TOKENS}/{item['metadata']['name']}"))


def test_scopes_hold_on_every_way(arena: Arena) -> None:
    """A token that is limited stays so: by verbs, places, impersonation, streams, transactions, reviews, Git and audit."""
    attacker, victim = arena.attacker, arena.victim
    reader = arena.as_(arena.token(user=attacker.owner, scopes=["read"]))
    refused(reader.send("GET", attacker.at("secrets")))
    refused(reader.send("POST", attacker.at("configmaps"), config_map("scoped")))
    refused(reader.send("POST", "/apis/moorage.io/v1/transactions", transaction()))
    refused(reader.send("GET", attacker.at("pods", "any/exec") + "?command=id"), 400, 403, 404)
    refused(reader.send("POST", attacker.at("serviceaccounts", "robot/token"), {"spec": {}}))
    refused(reader.send("GET", f"/apis/moorage.io/v1/namespaces/{attacker.namespace}/secrets/x/history"))
    refused(reader.send("PATCH", attacker.at("configmaps", "scoped") + "?dryRun=All", {}, JSON_PATCH), 403, 400)
    robot = {"Impersonate-User": f"system:serviceaccount:{attacker.namespace}:robot"}
    refused(reader.send("POST", attacker.at("configmaps"), config_map("scoped"), headers=robot))
    elsewhere = arena.as_(arena.token(user=attacker.owner, scopes=["write", "namespace:elsewhere"]))
    for mask in ({}, robot):
        refused(elsewhere.send("GET", attacker.at("configmaps"), headers=mask))
        refused(elsewhere.send("POST", attacker.at("configmaps"), config_map("scoped"), headers=mask))
    both = transaction({"verb": "create", "object": config_map("scoped", attacker.namespace)})
    refused(elsewhere.send("POST", "/apis/moorage.io/v1/transactions", both))
    git = arena.as_(arena.token(user=attacker.owner, scopes=["git"]))
    for path in (attacker.at("secrets"), attacker.at("configmaps"), victim.at("secrets")):
        refused(git.send("GET", path))
    refused(git.send("POST", attacker.at("configmaps"), config_map("scoped")))
    for limited in (reader, elsewhere, git):
        refused(
            limited.send("GET", "/apis/moorage.io/v1/audit", namespace=attacker.namespace),
            200 if limited is reader else 403,
        )


def test_certificates_that_nobody_approved(arena: Arena) -> None:
    """A tenant neither signs nor approves; a request that claims the platform's names is not made by it at all."""
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    for signer in ("kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"):
        spec: dict[str, Any] = {
            "request": base64_of(signing_request("admin", "system:masters")),
            "signerName": signer,
            "usages": ["client auth"],
            "username": "admin",
            "groups": ["system:masters"],
        }
        document = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "spec": spec}
        name = f"attack-{arena.attacker.tenant}"
        for caller in (arena.mallory, arena.robot, arena.node):
            made = caller.send("POST", path, {**document, "metadata": {"name": name}})
            approval = {"status": {"conditions": [{"type": "Approved", "status": "True"}]}}
            for subresource, change in (
                ("approval", approval),
                ("status", {"status": {"certificate": base64_of("x")}}),
            ):
                refused(
                    caller.send("PATCH", f"{path}/{name}/{subresource}", change, "application/merge-patch+json"),
                    403,
                    404,
                )
            if made.code == 201:
                assert made.document["spec"]["username"] not in ("admin", "")
                assert "system:masters" not in made.document["spec"].get("groups", ())
                arena.admin.send("DELETE", f"{path}/{name}")
