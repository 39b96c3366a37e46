"""Reviews say what requests meet, and impersonation is as much as it was allowed to be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.authorisation.documents import binding, collection, group, role, rule, user
from tests.support.access import RunningAccess

ADMIN = "admin-token"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"


async def put(access: RunningAccess, *documents: dict[str, Any]) -> None:
    for document in documents:
        code, answer = await access.call(ADMIN, "POST", collection(document), document)
        assert code == 201, answer


async def ask(access: RunningAccess, token: str, plural: str, spec: Any, namespace: str = "") -> dict[str, Any]:
    """The status of a review."""
    where = f"/namespaces/{namespace}" if namespace else ""
    code, answer = await access.call(token, "POST", f"{AUTHORIZATION}{where}/{plural}", {"spec": spec})
    assert code == 201, answer
    status: dict[str, Any] = answer["status"]
    return status


def question(verb: str, resource: str, namespace: str = "", **more: str) -> dict[str, Any]:
    return {"resourceAttributes": {"verb": verb, "resource": resource, "namespace": namespace, **more}}


async def test_may_i_and_may_they(access: RunningAccess) -> None:
    await put(access, binding("ann", "ClusterRole/view", user("ann"), namespace="default"))
    mine = await ask(access, "ann", "selfsubjectaccessreviews", question("list", "pods", "default"))
    assert mine == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "ann/default" of ClusterRole "view" to User "ann"',
    }
    assert not (await ask(access, "ann", "selfsubjectaccessreviews", question("list", "pods")))["allowed"]
    path = {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}
    assert not (await ask(access, "ann", "selfsubjectaccessreviews", path))["allowed"]
    about_ann = {**question("list", "pods", "default"), "user": "ann"}
    assert (await ask(access, ADMIN, "subjectaccessreviews", about_ann))["allowed"]
    about_bob = {**question("list", "pods", "default"), "user": "bob", "groups": ["devs"]}
    assert not (await ask(access, ADMIN, "subjectaccessreviews", about_bob))["allowed"]
    await put(access, binding("devs", "ClusterRole/view", group("devs"), namespace="default"))
    assert (await ask(access, ADMIN, "subjectaccessreviews", about_bob))["allowed"]
    assert (await ask(access, ADMIN, "localsubjectaccessreviews", about_bob, "default"))["allowed"]
    only_groups = {**question("list", "pods", "default"), "groups": ["devs"]}
    assert (await ask(access, ADMIN, "subjectaccessreviews", only_groups))["allowed"]
    code, _ = await access.call("ann", "POST", f"{AUTHORIZATION}/subjectaccessreviews", {"spec": about_bob})
    assert code == 403


async def test_questions_that_make_no_sense(access: RunningAccess) -> None:
    pods = question("list", "pods", "default")
    path = {"nonResourceAttributes": {"verb": "get", "path": "/"}}
    for plural, spec, message in (
        (
            "selfsubjectaccessreviews",
            {},
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        ("selfsubjectaccessreviews", {**pods, **path}, "cannot be specified in combination with resourceAttributes"),
        ("subjectaccessreviews", pods, "at least one of user or group must be specified"),
        ("selfsubjectrulesreviews", {}, "spec.namespace: Required value"),
    ):
        code, answer = await access.call(ADMIN, "POST", f"{AUTHORIZATION}/{plural}", {"spec": spec})
        assert (code, message in answer["message"]) == (422, True), answer
    elsewhere = {**question("list", "pods", "other"), "user": "ann"}
    path_of = f"{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews"
    code, answer = await access.call(ADMIN, "POST", path_of, {"spec": elsewhere})
    assert (code, "must match metadata.namespace" in answer["message"]) == (422, True), answer
    assert (await access.call(ADMIN, "POST", f"{AUTHORIZATION}/localsubjectaccessreviews", {"spec": elsewhere}))[
        0
    ] == 405
    assert (await access.call(ADMIN, "GET", f"{AUTHORIZATION}/subjectaccessreviews"))[0] == 405


async def test_the_list_of_rules(access: RunningAccess) -> None:
    await put(
        access,
        role("one", rule("get", "core", "pods", "x"), namespace="default"),
        binding("one", "Role/one", user("ann"), namespace="default"),
    )
    status = await ask(access, "ann", "selfsubjectrulesreviews", {"namespace": "default"})
    assert status["incomplete"] is False
    assert rule("get", "core", "pods", "x") in status["resourceRules"]
    assert {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]} in (
        status["resourceRules"]
    )
    assert any("/openapi/*" in each["nonResourceURLs"] for each in status["nonResourceRules"])
    elsewhere = await ask(access, "ann", "selfsubjectrulesreviews", {"namespace": "kube-system"})
    assert rule("get", "core", "pods", "x") not in elsewhere["resourceRules"]
    node = await ask(access, "system:node:a+system:nodes", "selfsubjectrulesreviews", {"namespace": "default"})
    assert node["incomplete"] is True


async def whoami(access: RunningAccess, token: str, headers: Any = None) -> dict[str, Any]:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    code, answer = await access.call(token, "POST", path, {}, headers)
    assert code == 201, answer
    found: dict[str, Any] = answer["status"]["userInfo"]
    return found


async def test_acting_as_somebody_else(access: RunningAccess) -> None:
    await put(access, binding("bob", "ClusterRole/view", user("bob"), namespace="default"))
    as_bob = {"Impersonate-User": "bob"}
    assert (await access.call(ADMIN, "GET", PODS, headers=as_bob))[0] == 200
    assert (await access.call(ADMIN, "GET", "/api/v1/pods", headers=as_bob))[0] == 403
    code, answer = await access.call("ann", "GET", PODS, headers=as_bob)
    assert (code, answer["message"]) == (
        403,
        'users "bob" is forbidden: User "ann" cannot impersonate resource "users" in API group "" at the cluster scope',
    )
    seen = await whoami(access, ADMIN, as_bob)
    assert seen == {"username": "bob", "groups": ["system:authenticated"]}
    everything = [
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "devs"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-Example.com%2Freason", "a"),
        ("Impersonate-Extra-Example.com%2Freason", "b"),
    ]
    from multidict import CIMultiDict

    assert await whoami(access, ADMIN, CIMultiDict(everything)) == {
        "username": "bob",
        "groups": ["devs", "ops", "system:authenticated"],
        "uid": "7",
        "extra": {"example.com/reason": ["a", "b"]},
    }
    account = await whoami(access, ADMIN, {"Impersonate-User": "system:serviceaccount:default:bot"})
    assert account["groups"] == [
        "system:authenticated",
        "system:serviceaccounts",
        "system:serviceaccounts:default",
    ]
    refused = [record for record in access.api.policies.auditor.records if not record[1].allowed]
    assert any((each[0].verb, each[0].name) == ("impersonate", "bob") for each in refused)
    acted = [record[0].identity for record in access.api.policies.auditor.records if record[0].identity.name == "bob"]
    assert {each.impersonator for each in acted} == {"admin"}


async def test_each_part_of_an_impersonation_needs_its_right(access: RunningAccess) -> None:
    await put(
        access,
        role("as-bob", rule("impersonate", "core", "users", "bob"), rule("impersonate", "core", "groups", "devs")),
        role("as-extra", rule("impersonate", "authentication.k8s.io", "userextras/reason", "a")),
        binding("as-bob", "ClusterRole/as-bob", user("ann")),
        binding("as-extra", "ClusterRole/as-extra", user("ann")),
        binding("editor", "ClusterRole/edit", user("ann"), namespace="default"),
    )
    for headers, allowed in (
        ({"Impersonate-User": "bob"}, True),
        ({"Impersonate-User": "bob", "Impersonate-Group": "devs"}, True),
        ({"Impersonate-User": "bob", "Impersonate-Group": "system:masters"}, False),
        ({"Impersonate-User": "eve"}, False),
        ({"Impersonate-User": "bob", "Impersonate-Uid": "1"}, False),
        ({"Impersonate-User": "bob", "Impersonate-Extra-Reason": "a"}, True),
        ({"Impersonate-User": "bob", "Impersonate-Extra-Reason": "b"}, False),
        ({"Impersonate-User": "bob", "Impersonate-Extra-Other": "a"}, False),
        ({"Impersonate-User": "system:serviceaccount:default:bot"}, True),
        ({"Impersonate-User": "system:serviceaccount:kube-system:bot"}, False),
    ):
        code, answer = await access.call("ann", "GET", "/apis", headers=headers)
        assert code == (200 if allowed else 403), (headers, answer)


@pytest.mark.parametrize("path", ["/api/v1/pods", "/apis"])
async def test_what_cannot_be_meant_is_refused(access: RunningAccess, path: str) -> None:
    for headers in (
        {"Impersonate-User": ""},
        {"Impersonate-User": " "},
        {"Impersonate-Group": "devs"},
        {"Impersonate-Uid": "7"},
        {"Impersonate-Extra-A": "b"},
        {"Impersonate-User": "bob", "Impersonate-Group": ""},
        {"Impersonate-User": "bob", "Impersonate-Uid": ""},
        {"Impersonate-User": "bob", "Impersonate-Extra-A": ""},
        {"Impersonate-User": "bob", "Impersonate-Nothing": "x"},
        {"Impersonate-User": "bob", "Impersonate-Extra-Tokens.moorage.io%2Fscopes": "write"},
    ):
        code, answer = await access.call(ADMIN, "GET", path, headers=headers)
        assert (code, answer["reason"]) == (400, "BadRequest"), (headers, answer)
