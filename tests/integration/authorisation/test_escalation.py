"""Nobody hands out more than they hold, by whatever verb, patch or transaction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.authorisation.documents import RBAC, binding, collection, role, rule, user
from tests.support.access import RunningAccess

ADMIN = "admin-token"
ROLES = f"{RBAC}/namespaces/default/roles"
BINDINGS = f"{RBAC}/namespaces/default/rolebindings"
PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json")
NOT_HELD = (
    'is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}'
)


@pytest.fixture
async def town(access: RunningAccess) -> RunningAccess:
    """ann may write roles and bindings in ``default`` and hold ``view`` there; ``wide`` is more than she has."""
    for document in (
        role("rbac", rule("*", "rbac.authorization.k8s.io", "roles rolebindings")),
        binding("ann-rbac", "ClusterRole/rbac", user("ann"), namespace="default"),
        binding("ann-view", "ClusterRole/view", user("ann"), namespace="default"),
        role("wide", rule("get", "core", "nodes"), namespace="default"),
        role("narrow", rule("get", "core", "pods"), namespace="default"),
        binding("given", "Role/wide", user("zoe"), namespace="default"),
    ):
        assert (await access.call(ADMIN, "POST", collection(document), document))[0] == 201
    # "*" on roles holds escalate and bind too: leave her the plain verbs.
    plain = role("rbac", rule("create update patch delete get list", "rbac.authorization.k8s.io", "roles rolebindings"))
    assert (await access.call(ADMIN, "PUT", f"{RBAC}/clusterroles/rbac", plain))[0] == 200
    return access


async def refused(
    town: RunningAccess, method: str, path: str, body: Any, content_type: str = "application/json"
) -> str:
    """The message of ann's 403."""
    async with (
        town.as_("ann") as ann,
        ann.request(method, path, data=json.dumps(body), headers={"Content-Type": content_type}) as answer,
    ):
        text = await answer.text()
        assert answer.status == 403, text
        message: str = json.loads(text)["message"]
        return message


async def test_roles(town: RunningAccess) -> None:
    within = role("mine", rule("get", "core", "pods"), rule("list", "apps", "deployments", "a"), namespace="default")
    assert (await town.call("ann", "POST", ROLES, within))[0] == 201
    beyond = role("more", rule("get", "core", "pods nodes"), namespace="default")
    message = await refused(town, "POST", ROLES, beyond)
    assert message.startswith(
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "ann" (groups=["system:authent'
    )
    assert message.endswith(NOT_HELD)
    for wild in (
        rule("*", "core", "pods"),
        rule("get", "*", "pods"),
        rule("get", "core", "*"),
        rule("get", "core", "*/x"),
    ):
        assert "not currently held" in await refused(town, "POST", ROLES, role("w", wild, namespace="default"))
    message = await refused(
        town, "PUT", f"{ROLES}/narrow", role("narrow", rule("get", "core", "nodes"), namespace="default")
    )
    assert message.endswith(NOT_HELD)
    rules = [rule("get", "core", "nodes")]
    for content_type in PATCHES:
        patch: Any = {"rules": rules}
        if content_type == PATCHES[2]:
            patch = [{"op": "replace", "path": "/rules", "value": rules}]
        assert (await refused(town, "PATCH", f"{ROLES}/narrow", patch, content_type)).endswith(NOT_HELD)
    apply = "application/apply-patch+yaml"
    for name in ("narrow", "new"):
        wanted = role(name, *rules, namespace="default")
        path = f"{ROLES}/{name}?fieldManager=ann&force=true"
        assert (await refused(town, "PATCH", path, wanted, apply)).endswith(NOT_HELD)


async def test_bindings(town: RunningAccess) -> None:
    within = binding("mine", "ClusterRole/view", user("bob"), namespace="default")
    assert (await town.call("ann", "POST", BINDINGS, within))[0] == 201
    for to in ("Role/wide", "ClusterRole/edit", "ClusterRole/cluster-admin"):
        message = await refused(town, "POST", BINDINGS, binding("x", to, user("ann"), namespace="default"))
        assert "not currently held" in message
    code, answer = await town.call("ann", "POST", BINDINGS, binding("x", "Role/none", user("ann"), namespace="default"))
    assert code == 404
    assert answer["message"] == 'roles.rbac.authorization.k8s.io "none" not found'
    more = binding("given", "Role/wide", user("zoe"), user("ann"), namespace="default")
    assert (await refused(town, "PUT", f"{BINDINGS}/given", more)).endswith(NOT_HELD)
    for content_type in PATCHES:
        patch: Any = {"subjects": more["subjects"]}
        if content_type == PATCHES[2]:
            patch = [{"op": "add", "path": "/subjects/-", "value": user("ann")}]
        assert (await refused(town, "PATCH", f"{BINDINGS}/given", patch, content_type)).endswith(NOT_HELD)
    # Garbage collection's fields grant nothing.
    headers = {"Content-Type": PATCHES[0]}
    for patch in ({"metadata": {"finalizers": ["example.com/a"]}}, {"metadata": {"finalizers": None}}):
        async with (
            town.as_("ann") as ann,
            ann.patch(f"{BINDINGS}/given", data=json.dumps(patch), headers=headers) as done,
        ):
            assert done.status == 200, await done.text()
    assert (await town.call("ann", "DELETE", f"{BINDINGS}/given"))[0] == 200


async def test_by_a_transaction(town: RunningAccess) -> None:
    def operations(*documents: Any, verb: str = "create") -> Any:
        listed = [{"verb": verb, "object": document} for document in documents]
        return {
            "apiVersion": "moorage.io/v1",
            "kind": "Transaction",
            "spec": {"fieldManager": "t", "operations": listed},
        }

    path = "/apis/moorage.io/v1/transactions"
    grab = binding("x", "Role/own", user("ann"), namespace="default")
    for verb in ("create", "apply"):
        own = role("own", rule("get", "core", "nodes"), namespace="default")
        code, answer = await town.call("ann", "POST", path, operations(own, grab, verb=verb))
        assert (code, "not currently held" in answer["message"]) == (422, True), answer
        # A binding to a harmless role that the same transaction widens.
        code, answer = await town.call(
            "ann", "POST", path, operations({**own, "rules": [rule("get", "core", "pods")]}, grab, own, verb=verb)
        )
        assert (code, "not currently held" in answer["message"]) in ((403, True), (409, False)), answer
    own = role("own", rule("get", "core", "pods"), namespace="default")
    assert (await town.call("ann", "POST", path, operations(own, grab)))[0] == 201


async def test_aggregation_needs_everything(town: RunningAccess) -> None:
    for document in (
        role("cluster-roles", rule("create update patch get", "rbac.authorization.k8s.io", "clusterroles")),
        binding("ann-cluster", "ClusterRole/cluster-roles", user("ann")),
        role("readers", rule("get", "core", "configmaps")),
        binding("ann-readers", "ClusterRole/readers", user("ann")),
    ):
        assert (await town.call(ADMIN, "POST", collection(document), document))[0] == 201
    path = f"{RBAC}/clusterroles"
    gathers = {**role("all"), "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
    message = await refused(town, "POST", path, gathers)
    assert message.endswith("must have cluster-admin privileges to use an aggregationRule")
    widened: Any = {"aggregationRule": {"clusterRoleSelectors": [{}]}}
    message = await refused(town, "PATCH", f"{path}/view", widened, PATCHES[0])
    assert "not currently held" in message or "cluster-admin privileges" in message
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    assert (await town.call("ann", "POST", path, role("a", rule("get", "core", "configmaps"), labels=label)))[0] == 201
    message = await refused(town, "POST", path, role("b", rule("get", "core", "secrets"), labels=label))
    assert "not currently held" in message
    # A label alone may make a role part of a greater one: what is in it must be held as well.
    message = await refused(town, "PATCH", f"{path}/system:node-proxier", {"metadata": {"labels": label}}, PATCHES[0])
    assert "not currently held" in message


async def test_escalate_and_bind_lift_it(town: RunningAccess) -> None:
    for document in (
        role("lifted", rule("escalate", "rbac.authorization.k8s.io", "roles"), namespace="default"),
        role("binder", rule("bind", "rbac.authorization.k8s.io", "clusterroles", "edit"), namespace="default"),
        binding("lifted", "Role/lifted", user("ann"), namespace="default"),
        binding("binder", "Role/binder", user("ann"), namespace="default"),
    ):
        assert (await town.call(ADMIN, "POST", collection(document), document))[0] == 201
    assert (await town.call("ann", "POST", ROLES, role("w", rule("*", "*", "*"), namespace="default")))[0] == 201
    to_edit = binding("e", "ClusterRole/edit", user("bob"), namespace="default")
    assert (await town.call("ann", "POST", BINDINGS, to_edit))[0] == 201
    message = await refused(town, "POST", BINDINGS, binding("f", "ClusterRole/admin", user("bob"), namespace="default"))
    assert "not currently held" in message
