"""The role matrix: every verb, on every resource and subresource that matters, for every role, against what is written here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from moorage.api.contracts import Attributes, Decision, Identity
from moorage_tenants import names
from moorage_tenants.controller_role import ControllerRole
from moorage_tenants.authorisation.nodes import NodeRole
from moorage_tenants.pod_index import PodIndex
from moorage_tenants.roles import RoleAuthorizer
from moorage_tenants.authorisation.teams import TeamRole
from tests.unit.tenants.caches import MemoryCache

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
READ = {"get", "list", "watch"}
ALL = set(VERBS)


class House:
    """An authoriser over a few namespaces and pods."""

    def __init__(self) -> None:
        self.namespaces = MemoryCache("namespaces")
        self.pods = MemoryCache("pods")
        self.index = PodIndex(self.pods)
        self.refreshed = 0
        node = NodeRole(self.pods, self.index, self.refresh)
        self.authorizer = RoleAuthorizer(controllers=ControllerRole(), node=node, team=TeamRole(self.namespaces))

    async def refresh(self) -> None:
        self.refreshed += 1
        self.index._fill()

    async def ask(self, identity: Identity, verb: str, **attributes: Any) -> Decision:
        return await self.authorizer.authorise(Attributes(identity, verb, **attributes))

    async def allowed(self, identity: Identity, **attributes: Any) -> set[str]:
        return {verb for verb in VERBS if (await self.ask(identity, verb, **attributes)).allowed}


@pytest.fixture
def house() -> House:
    house = House()
    house.namespaces.put("", "blue")
    house.namespaces.put("", "shop", metadata={"labels": {"moorage.io/team": "blue"}})
    house.namespaces.put("", "green", metadata={"labels": {"moorage.io/team": "red"}})
    house.namespaces.put("", "other")
    volumes = [{"name": "v", "secret": {"secretName": "mounted"}}, {"name": "c", "configMap": {"name": "settings"}}]
    environment = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "from-env", "key": "a"}}}]
    containers = [{"name": "main", "env": environment, "envFrom": [{"configMapRef": {"name": "many"}}]}]
    spec = {"nodeName": "n1", "volumes": volumes, "containers": containers, "imagePullSecrets": [{"name": "pull"}]}
    house.pods.put("blue", "mine", spec=spec)
    house.pods.put("blue", "theirs", spec={"nodeName": "n2", "containers": [{"name": "main"}]})
    house.pods.put("blue", "waiting", spec={"containers": [{"name": "main", "env": environment}]})
    house.index._fill()
    return house


def shapes() -> Iterator[dict[str, Any]]:
    """Requests on many resources, with and without namespace, name and subresource."""
    resources = [
        *(("", name) for name in ("pods", "secrets", "configmaps", "services", "events", "nodes", "namespaces")),
        *(("apps", name) for name in ("deployments", "replicasets")),
        ("coordination.k8s.io", "leases"),
        ("gitops.moorage.io", "repositories"),
        ("moorage.io", "tokens"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("example.com", "widgets"),
    ]
    subresources = ("", "status", "scale", "log", "binding", "finalize", "exec", "token", "made-up")
    for (group, resource), subresource, namespace in itertools.product(
        resources, subresources, ("", "blue", "other", "kube-system")
    ):
        yield {
            "group": group, "resource": resource, "subresource": subresource, "namespace": namespace, "name": "x",
        }  # fmt: skip


async def test_an_administrator_may_do_everything(house: House) -> None:
    for shape in shapes():
        assert await house.allowed(names.admin(), **shape) == ALL


@pytest.mark.parametrize("identity", [Identity("somebody"), Identity("somebody", frozenset({"system:authenticated"}))])
async def test_an_identity_without_a_role_may_do_nothing(house: House, identity: Identity) -> None:
    for shape in shapes():
        assert await house.allowed(identity, **shape) == set()


async def test_nobody_is_refused(house: House) -> None:
    decision = await house.ask(Identity("", frozenset({names.MASTERS})), "get", resource="pods")
    assert not decision.allowed


@pytest.mark.parametrize("path", ["/version", "/api", "/apis", "/apis/apps/v1", "/openapi/v3", "/readyz", "/livez"])
async def test_discovery_is_open_to_all_who_are_logged_in(house: House, path: str) -> None:
    for identity in (names.team("blue"), names.node("n1"), names.controllers(), Identity("somebody")):
        assert (await house.ask(identity, "get", path=path)).allowed
        assert not (await house.ask(identity, "post", path=path)).allowed


async def test_other_paths_are_not(house: House) -> None:
    for path in ("/metrics", "/debug/pprof", "/logs", "/versions", "/apisx"):
        decision = await house.ask(names.team("blue"), "get", path=path)
        assert decision.reason == f'User "team:blue" cannot get path "{path}"'


@pytest.mark.parametrize("namespace", ["blue", "shop"])
async def test_a_team_works_in_its_namespaces(house: House, namespace: str) -> None:
    blue = names.team("blue")
    for group, resource in [
        ("", "pods"), ("", "secrets"), ("", "configmaps"), ("", "services"), ("", "serviceaccounts"),
        ("apps", "deployments"), ("apps", "replicasets"), ("gitops.moorage.io", "repositories"),
    ]:  # fmt: skip
        assert await house.allowed(blue, group=group, resource=resource, namespace=namespace, name="x") == ALL
    allowed = await house.allowed(blue, group="apps", resource="deployments", subresource="scale", namespace=namespace)
    assert allowed == {"get", "update", "patch"}
    assert await house.allowed(blue, resource="pods", subresource="log", namespace=namespace, name="x") == {"get"}
    assert await house.allowed(blue, resource="events", namespace=namespace) == READ
    git = {"group": "gitops.moorage.io", "namespace": namespace, "name": "x"}
    assert await house.allowed(blue, **git, resource="applications") == ALL
    assert await house.allowed(blue, **git, resource="repositories", subresource="push") == {"create"}
    assert await house.allowed(blue, **git, resource="applications", subresource="status") == {"get", "patch"}


@pytest.mark.parametrize("subresource", ["status", "binding", "finalize", "exec", "token", "ephemeralcontainers", "x"])
@pytest.mark.parametrize("resource", ["pods", "serviceaccounts", "services", "namespaces"])
async def test_a_team_writes_no_status_and_binds_nothing(house: House, resource: str, subresource: str) -> None:
    allowed = await house.allowed(
        names.team("blue"), resource=resource, subresource=subresource, namespace="blue", name="x"
    )
    assert allowed <= {"get"}
    if subresource != "status":
        assert allowed == set()


async def test_a_team_does_not_bind_by_the_other_way_either(house: House) -> None:
    assert "create" not in await house.allowed(names.team("blue"), resource="bindings", namespace="blue")


@pytest.mark.parametrize("namespace", ["", "other", "green", "default", "kube-system", "kube-node-lease", "missing"])
async def test_a_team_may_do_nothing_elsewhere(house: House, namespace: str) -> None:
    for shape in shapes():
        shape = {**shape, "namespace": namespace}
        assert await house.allowed(names.team("blue"), **shape) == set(), shape


async def test_a_label_takes_a_namespace_from_the_team_with_its_name(house: House) -> None:
    assert await house.allowed(names.team("green"), resource="pods", namespace="green") == set()
    assert await house.allowed(names.team("red"), resource="pods", namespace="green") == ALL


async def test_the_platforms_namespaces_are_nobodys_by_name(house: House) -> None:
    for name in ("default", "kube-system", "kube-node-lease", "moorage-system"):
        forged = Identity(f"team:{name}", frozenset({f"teams:{name}"}))
        assert await house.allowed(forged, resource="pods", namespace=name) == set()
        with pytest.raises(names.BadName):
            names.team(name)


@pytest.mark.parametrize("subresource", ["", "status", "finalize"])
@pytest.mark.parametrize("name", ["blue", "shop", "other", "new"])
async def test_a_team_reads_its_namespaces_and_changes_none(house: House, name: str, subresource: str) -> None:
    own = name in {"blue", "shop"} and not subresource
    for namespace in ("", name):
        allowed = await house.allowed(
            names.team("blue"), resource="namespaces", subresource=subresource, name=name, namespace=namespace
        )
        assert allowed == (READ if own else set())


async def test_a_team_lists_no_namespaces_and_no_nodes(house: House) -> None:
    for resource in ("namespaces", "nodes"):
        assert await house.allowed(names.team("blue"), resource=resource) == set()
    assert await house.allowed(names.team("blue"), group="moorage.io", resource="tokens") == set()


async def test_the_texts_are_kubernetes(house: House) -> None:
    decision = await house.ask(names.team("blue"), "list", resource="pods", namespace="other")
    assert decision.reason == (
        'User "team:blue" cannot list resource "pods" in API group "" in the namespace "other": '
        'the namespace is not one of team "blue"'
    )
    decision = await house.ask(names.team("blue"), "list", resource="nodes")
    assert decision.reason.startswith(
        'User "team:blue" cannot list resource "nodes" in API group "" at the cluster scope'
    )
    decision = await house.ask(names.team("blue"), "update", resource="pods", subresource="status", namespace="blue")
    assert 'cannot update resource "pods/status"' in decision.reason


async def test_a_node_is_itself_and_no_other(house: House) -> None:
    n1 = names.node("n1")
    assert await house.allowed(n1, resource="nodes", name="n1") == {"get", "list", "watch", "create", "update", "patch"}
    assert await house.allowed(n1, resource="nodes", name="n1", subresource="status") == {"get", "update", "patch"}
    for subresource in ("", "status", "proxy"):
        assert await house.allowed(n1, resource="nodes", name="n2", subresource=subresource) == set()
    assert await house.allowed(n1, resource="nodes") == set()
    created = {"metadata": {"name": "n2"}}
    assert not (await house.ask(n1, "create", resource="nodes", document=created)).allowed
    assert (await house.ask(n1, "create", resource="nodes", document={"metadata": {"name": "n1"}})).allowed


async def test_a_node_renews_its_own_lease(house: House) -> None:
    n1 = names.node("n1")
    lease = {"group": "coordination.k8s.io", "resource": "leases"}
    allowed = await house.allowed(n1, **lease, namespace="kube-node-lease", name="n1")
    assert allowed == {"get", "create", "update", "patch", "delete"}
    assert await house.allowed(n1, **lease, namespace="kube-node-lease", name="n2") == set()
    assert await house.allowed(n1, **lease, namespace="kube-system", name="n1") == set()


async def test_a_node_lists_its_own_pods_only(house: House) -> None:
    n1 = names.node("n1")
    for verb in ("list", "watch"):
        assert (await house.ask(n1, verb, resource="pods", field_selector={"spec.nodeName": "n1"})).allowed
        for selector in ({}, {"spec.nodeName": "n2"}, {"spec.nodeName": ""}, {"status.phase": "Running"}):
            assert not (await house.ask(n1, verb, resource="pods", field_selector=selector)).allowed


async def test_a_node_reports_on_its_own_pods_only(house: House) -> None:
    n1 = names.node("n1")
    own = {"resource": "pods", "namespace": "blue", "name": "mine"}
    assert await house.allowed(n1, **own) == {"get", "watch", "delete"}
    assert await house.allowed(n1, **own, subresource="status") == {"get", "update", "patch"}
    for name in ("theirs", "waiting"):
        for subresource in ("", "status", "log", "binding", "eviction", "exec"):
            shape = {"resource": "pods", "namespace": "blue", "name": name, "subresource": subresource}
            assert await house.allowed(n1, **shape) == set()
    for subresource in ("log", "binding", "eviction", "exec"):
        assert await house.allowed(n1, **own, subresource=subresource) == set()


async def test_a_pod_that_is_gone_is_not_found_rather_than_forbidden(house: House) -> None:
    house.pods.drop("blue", "mine")
    decision = await house.ask(names.node("n1"), "delete", resource="pods", namespace="blue", name="mine")
    assert decision.allowed


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ("secrets", "mounted"),
        ("secrets", "from-env"),
        ("secrets", "pull"),
        ("configmaps", "settings"),
        ("configmaps", "many"),
    ],
)
async def test_a_node_reads_what_its_pods_name(house: House, resource: str, name: str) -> None:
    n1 = names.node("n1")
    assert await house.allowed(n1, resource=resource, namespace="blue", name=name) == READ
    by_field = {"resource": resource, "namespace": "blue", "field_selector": {"metadata.name": name}}
    assert (await house.ask(n1, "watch", **by_field)).allowed
    assert await house.allowed(names.node("n2"), resource=resource, namespace="blue", name=name) == set()
    assert await house.allowed(n1, resource=resource, namespace="shop", name=name) == set()
    assert await house.allowed(n1, resource=resource, namespace="blue", name="unnamed") == set()
    assert await house.allowed(n1, resource=resource, namespace="blue") == set()
    assert await house.allowed(n1, resource=resource) == set()
    other = "configmaps" if resource == "secrets" else "secrets"
    assert await house.allowed(n1, resource=other, namespace="blue", name=name) == set()


async def test_a_node_reads_it_as_long_as_the_pod_is_there(house: House) -> None:
    house.pods.put("blue", "twin", spec={"nodeName": "n1", "imagePullSecrets": [{"name": "pull"}], "containers": []})
    house.index._fill()
    house.pods.drop("blue", "mine")
    house.index._fill()
    n1 = names.node("n1")
    assert await house.allowed(n1, resource="secrets", namespace="blue", name="mounted") == set()
    assert await house.allowed(n1, resource="secrets", namespace="blue", name="pull") == READ


async def test_a_refusal_looks_again_before_it_is_given(house: House) -> None:
    spec = {"nodeName": "n2", "imagePullSecrets": [{"name": "fresh"}], "containers": []}
    house.pods.put("blue", "late", spec=spec)
    decision = await house.ask(names.node("n2"), "get", resource="secrets", namespace="blue", name="fresh")
    assert decision.allowed
    assert house.refreshed == 1


async def test_a_node_opens_its_own_tunnel(house: House) -> None:
    tunnel = {"group": "moorage.io", "resource": "nodes", "subresource": "tunnel"}
    n1 = names.node("n1")
    assert (await house.ask(n1, "create", **tunnel, name="n1")).allowed
    assert not (await house.ask(n1, "create", **tunnel, name="n2")).allowed
    assert not (await house.ask(names.team("n1"), "create", **tunnel, name="n1")).allowed


async def test_a_node_without_a_name_is_no_node(house: House) -> None:
    for name in ("system:node:", "n1"):
        identity = Identity(name, frozenset({names.NODES}))
        for shape in shapes():
            assert await house.allowed(identity, **{**shape, "name": ""}) == set()


async def test_controllers_derive_and_clean_up_but_hand_out_nothing(house: House) -> None:
    controllers = names.controllers()
    assert await house.allowed(controllers, resource="secrets", namespace="blue", name="x") == {
        *READ, "patch", "delete", "deletecollection",
    }  # fmt: skip
    assert await house.allowed(controllers, group="moorage.io", resource="tokens") == set()
    assert await house.allowed(controllers, resource="pods", subresource="binding", namespace="blue") == {"create"}
    assert await house.allowed(controllers, resource="pods", subresource="log", namespace="blue") == set()
    assert await house.allowed(controllers, resource="pods", subresource="exec", namespace="blue") == set()
    assert await house.allowed(controllers, resource="serviceaccounts", subresource="token", namespace="a") == set()
    assert await house.allowed(controllers, resource="pods", namespace="blue") == ALL
    assert "create" not in await house.allowed(controllers, resource="nodes")
    assert "create" not in await house.allowed(controllers, group="rbac.authorization.k8s.io", resource="clusterroles")


async def test_many_operations_in_one_request_are_judged_one_by_one(house: House) -> None:
    for identity in (names.team("blue"), names.node("n1"), names.controllers()):
        for resource in ("transactions", "batches"):
            assert await house.allowed(identity, group="moorage.io", resource=resource) == {"create"}
