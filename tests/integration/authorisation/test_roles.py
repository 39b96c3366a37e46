"""Roles and bindings decide, from the moment on that they are written."""

from __future__ import annotations

from typing import Any

from tests.integration.authorisation.documents import RBAC, account, binding, collection, group, role, rule, user
from tests.support.access import RunningAccess

ADMIN = "admin-token"
PODS = "/api/v1/namespaces/default/pods"


async def put(access: RunningAccess, *documents: dict[str, Any], as_: str = ADMIN) -> None:
    """Create all."""
    for document in documents:
        code, answer = await access.call(as_, "POST", collection(document), document)
        assert code == 201, answer


async def code(access: RunningAccess, token: str, path: str, method: str = "GET", body: Any = None) -> int:
    """The status of one request."""
    return (await access.call(token, method, path, body))[0]


async def test_a_binding_gives_at_once_and_its_deletion_takes_at_once(access: RunningAccess) -> None:
    assert await code(access, "ann", PODS) == 403
    await put(access, binding("ann", "ClusterRole/view", user("ann"), namespace="default"))
    assert await code(access, "ann", PODS) == 200
    assert await code(access, "ann", "/api/v1/namespaces/kube-system/pods") == 403
    assert await code(access, "ann", "/api/v1/pods") == 403
    assert await code(access, "ann", "/api/v1/namespaces/default/secrets") == 403
    assert await code(access, ADMIN, f"{RBAC}/namespaces/default/rolebindings/ann", "DELETE") == 200
    assert await code(access, "ann", PODS) == 403


async def test_a_changed_role_counts_at_once(access: RunningAccess) -> None:
    reader = role("reader", rule("get list", "core", "pods"), namespace="default")
    await put(access, reader, binding("reader", "Role/reader", group("devs"), namespace="default"))
    assert await code(access, "bob+devs", PODS) == 200
    assert await code(access, "bob", PODS) == 403
    reader["rules"] = [rule("get", "core", "configmaps")]
    assert await code(access, ADMIN, f"{RBAC}/namespaces/default/roles/reader", "PUT", reader) == 200
    assert await code(access, "bob+devs", PODS) == 403


async def test_a_namespace_may_be_read_by_who_may_read_in_it(access: RunningAccess) -> None:
    await put(access, binding("ann", "ClusterRole/view", user("ann"), namespace="default"))
    assert await code(access, "ann", "/api/v1/namespaces/default") == 200
    status, answer = await access.call("ann", "GET", "/api/v1/namespaces/kube-system")
    assert status == 403
    assert answer["message"] == (
        'namespaces "kube-system" is forbidden: User "ann" cannot get resource "namespaces" in API group "" in the '
        'namespace "kube-system"'
    )


async def test_service_accounts_are_users_and_groups(access: RunningAccess) -> None:
    token = "system:serviceaccount:default:bot+system:serviceaccounts+system:serviceaccounts:default"
    assert await code(access, token, PODS) == 403
    await put(access, binding("bot", "ClusterRole/view", account("bot"), namespace="default"))
    assert await code(access, token, PODS) == 200
    await put(access, binding("all", "ClusterRole/view", group("system:serviceaccounts:default")))
    assert await code(access, token, "/api/v1/pods") == 200


async def test_names_subresources_and_paths(access: RunningAccess) -> None:
    await put(
        access,
        role("one", rule("get", "core", "configmaps", "settings"), rule("get", "core", "pods/log")),
        role("paths", {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/debug/*"]}),
        binding("one", "ClusterRole/one", user("ann")),
        binding("paths", "ClusterRole/paths", user("ann")),
    )
    configmaps = "/api/v1/namespaces/default/configmaps"
    assert await code(access, "ann", f"{configmaps}/settings") == 404
    assert await code(access, "ann", f"{configmaps}/other") == 403
    assert await code(access, "ann", configmaps) == 403
    assert await code(access, "ann", f"{configmaps}?fieldSelector=metadata.name%3Dsettings") == 403
    assert await code(access, "ann", f"{PODS}/x/log") == 404
    assert await code(access, "ann", f"{PODS}/x") == 403
    assert await code(access, "ann", "/metrics") == 200
    assert await code(access, "bob", "/metrics") == 403
    assert await code(access, "bob", "/apis") == 200


async def test_default_roles_are_there_and_aggregated(access: RunningAccess) -> None:
    _, found = await access.call(ADMIN, "GET", f"{RBAC}/clusterroles")
    roles = {each["metadata"]["name"]: each for each in found["items"]}
    assert {"cluster-admin", "admin", "edit", "view", "system:discovery", "system:moorage:controllers"} <= set(roles)
    assert roles["view"]["rules"] == [
        *roles["system:aggregate-to-view"]["rules"],
        *roles["system:moorage:aggregate-to-view"]["rules"],
    ]
    for smaller, larger in (("view", "edit"), ("edit", "admin")):
        assert all(each in roles[larger]["rules"] for each in roles[smaller]["rules"])
        assert len(roles[smaller]["rules"]) < len(roles[larger]["rules"])
    assert all(each["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults" for each in found["items"])


async def test_an_aggregated_role_shows_what_it_gathers_from_the_same_commit_on(access: RunningAccess) -> None:
    await put(access, binding("ann", "ClusterRole/view", user("ann"), namespace="default"))
    assert await code(access, "ann", "/api/v1/namespaces/default/secrets") == 403
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    await put(access, role("more", rule("list", "core", "secrets"), labels=labels))
    _, view = await access.call(ADMIN, "GET", f"{RBAC}/clusterroles/view")
    _, admin = await access.call(ADMIN, "GET", f"{RBAC}/clusterroles/admin")
    more = rule("list", "core", "secrets")
    assert more in view["rules"]
    assert more in admin["rules"]
    assert await code(access, "ann", "/api/v1/namespaces/default/secrets") == 200
    assert await code(access, ADMIN, f"{RBAC}/clusterroles/more", "DELETE") == 200
    _, view = await access.call(ADMIN, "GET", f"{RBAC}/clusterroles/view")
    assert more not in view["rules"]
    assert await code(access, "ann", "/api/v1/namespaces/default/secrets") == 403


async def test_rules_of_an_aggregated_role_cannot_be_written(access: RunningAccess) -> None:
    _, view = await access.call(ADMIN, "GET", f"{RBAC}/clusterroles/view")
    before = view["rules"]
    view["rules"] = [rule("*", "*", "*")]
    status, after = await access.call(ADMIN, "PUT", f"{RBAC}/clusterroles/view", view)
    assert status == 200
    assert after["rules"] == before


MISTAKES = [
    (role("r", {"verbs": []}, namespace="default"), "rules[0].verbs", "verbs must contain at least one value"),
    (
        role("r", {"verbs": ["get"], "nonResourceURLs": ["/x"]}, namespace="default"),
        "rules[0].nonResourceURLs",
        "namespaced rules cannot apply to non-resource URLs",
    ),
    (role("r", {"verbs": ["get"], "apiGroups": [""]}), "rules[0].resources", "must supply at least one resource"),
    (role("r", {"verbs": ["get"], "resources": ["x"]}), "rules[0].apiGroups", "at least one api group"),
    (binding("b", "Role/x", user("a")), "roleRef.kind", 'supported values: "ClusterRole"'),
    (binding("b", "Pod/x", user("a"), namespace="default"), "roleRef.kind", '"Role", "ClusterRole"'),
    (binding("b", "ClusterRole/", user("a")), "roleRef.name", "Required value"),
    (binding("b", "ClusterRole/view", account("x")), "subjects[0].namespace", "Required value"),
    (binding("b", "ClusterRole/view", account("A_b", "x")), "subjects[0].name", "RFC 1123"),
    (binding("b", "ClusterRole/view", user("")), "subjects[0].name", "user name cannot be empty"),
    (binding("b", "ClusterRole/view", {"kind": "Team", "name": "x"}), "subjects[0].kind", '"ServiceAccount", "User"'),
]


async def test_what_makes_no_sense_is_refused_by_field(access: RunningAccess) -> None:
    for document, field, message in MISTAKES:
        status, answer = await access.call(ADMIN, "POST", collection(document), document)
        assert status == 422, answer
        assert field in [cause["field"] for cause in answer["details"]["causes"]]
        assert message in answer["message"]


async def test_what_a_binding_refers_to_never_changes(access: RunningAccess) -> None:
    given = binding("b", "ClusterRole/view", user("ann"))
    await put(access, given)
    changed = binding("b", "ClusterRole/edit", user("ann"))
    status, answer = await access.call(ADMIN, "PUT", f"{RBAC}/clusterrolebindings/b", changed)
    assert status == 422
    assert "cannot change roleRef" in answer["message"]
