"""What a node may: Kubernetes' node authorizer and NodeRestriction, and where this platform is stricter."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.contracts import AdmissionRequest, Attributes, Identity
from moorage.resources.core.nodes import NODE
from moorage.resources.core.persistent_volumes import PERSISTENT_VOLUME
from moorage.resources.core.pods.declaration import POD
from moorage.resources.kind import Kind
from moorage_tenants import names
from moorage_tenants.authorisation.node_restriction import NodeRestriction, may_label
from tests.unit.tenants.authorisation.town import Town

MINE = {
    "nodeName": "n1",
    "serviceAccountName": "robot",
    "imagePullSecrets": [{"name": "pull"}],
    "containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "env"}}}]}],
    "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
    "volumes": [
        {"name": "v", "secret": {"secretName": "mounted"}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}},
    ],
}
THEIRS = {"nodeName": "n2", "containers": [], "volumes": [{"name": "v", "secret": {"secretName": "other"}}]}
REFUSED_TO_ALL = "no relationship found between node and this object"


@pytest.fixture
async def town() -> Town:
    """One pod on each of two nodes, one on none."""
    town = Town()
    town.pods.put("a", "mine", spec=MINE)
    town.pods.put("a", "theirs", spec=THEIRS)
    town.pods.put(
        "a", "pending", spec={"containers": [], "volumes": [{"name": "v", "secret": {"secretName": "later"}}]}
    )
    claim = {"namespace": "a", "name": "data"}
    town.volumes.put("", "volume", spec={"claimRef": claim})
    town.volumes.put("", "free", spec={})
    return town


def asked(verb: str, what: str, namespace: str = "a", name: str = "", **more: Any) -> Attributes:
    """A question of node n1 about ``pods/status`` or ``leases.coordination.k8s.io``."""
    resource, _, group = what.partition(".")
    resource, _, subresource = resource.partition("/")
    identity = Identity("system:node:n1", frozenset({names.NODES}))
    return Attributes(identity, verb, group, resource, subresource, namespace, name, **more)


async def may(town: Town, *args: Any, **more: Any) -> bool:
    return (await town.authorizer.authorise(asked(*args, **more))).allowed


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("secrets", "mounted"),
        ("secrets", "pull"),
        ("secrets", "env"),
        ("configmaps", "settings"),
    ],
)
async def test_it_reads_what_its_pods_name_and_only_by_name(town: Town, what: str, name: str) -> None:
    assert await may(town, "get", what, "a", name)
    for verb in ("list", "watch"):
        assert await may(town, verb, what, "a", name, field_selector={"metadata.name": name})
        assert not await may(town, verb, what, "a")
        assert not await may(town, verb, what, "a", field_selector={"metadata.namespace": "a"})
        assert not await may(town, verb, what, "", "", field_selector={"metadata.name": name})
    for verb in ("create", "update", "patch", "delete", "deletecollection"):
        assert not await may(town, verb, what, "a", name)
    assert not await may(town, "get", what, "b", name)


@pytest.mark.parametrize("name", ["other", "later", "nothing"])
async def test_what_others_pods_name_is_as_if_it_were_not_there(town: Town, name: str) -> None:
    decision = await town.authorizer.authorise(asked("get", "secrets", "a", name))
    assert not decision.allowed
    assert decision.reason.endswith(REFUSED_TO_ALL)


async def test_what_it_read_for_a_pod_ends_with_the_pod(town: Town) -> None:
    assert await may(town, "get", "secrets", "a", "mounted")
    town.pods.drop("a", "mine")
    await town.refresh_pods()
    assert not await may(town, "get", "secrets", "a", "mounted")
    assert not await may(town, "create", "serviceaccounts/token", "a", "robot")


async def test_volumes_that_are_folders_of_the_node(town: Town) -> None:
    def put(name: str, node: str, phase: str = "Released", policy: str = "Delete") -> None:
        csi = {"driver": "local.moorage.io", "volumeHandle": name, "volumeAttributes": {"node": node}}
        spec = {"csi": csi, "persistentVolumeReclaimPolicy": policy}
        town.volumes.put("", name, spec=spec, status={"phase": phase})

    put("done", "n1")
    put("used", "n1", phase="Bound")
    put("kept", "n1", policy="Retain")
    put("far", "n2")
    for name, verbs in (("done", {"get", "delete", "patch"}), ("used", {"get"}), ("kept", {"get"}), ("far", set())):
        for verb in ("get", "delete", "patch", "update", "list"):
            assert await may(town, verb, "persistentvolumes", "", name) == (verb in verbs), (verb, name)


async def test_it_follows_the_volumes_that_are_its_own_folders(town: Town) -> None:
    for verb in ("list", "watch"):
        own = {"spec.csi.volumeAttributes.node": "n1"}
        assert await may(town, verb, "persistentvolumes", "", field_selector=own)
        for selector in ({}, {"spec.csi.volumeAttributes.node": "n2"}, {"metadata.name": "volume"}):
            assert not await may(town, verb, "persistentvolumes", "", field_selector=selector)
    assert not await may(town, "delete", "persistentvolumes", "", field_selector=own)
    assert not await may(town, "list", "persistentvolumeclaims", "a", field_selector=own)


async def test_claims_and_volumes(town: Town) -> None:
    for name in ("data", "mine-e"):
        assert await may(town, "get", "persistentvolumeclaims", "a", name)
    assert await may(town, "get", "persistentvolumes", "", "volume")
    for verb, what, name in (
        ("list", "persistentvolumeclaims", ""),
        ("get", "persistentvolumeclaims", "other"),
        ("update", "persistentvolumeclaims/status", "data"),
        ("get", "persistentvolumes", "free"),
        ("get", "persistentvolumes", "none"),
        ("watch", "persistentvolumes", "volume"),
    ):
        assert not await may(town, verb, what, "a", name), (verb, what, name)


async def test_tokens_of_the_accounts_of_its_pods(town: Town) -> None:
    assert await may(town, "create", "serviceaccounts/token", "a", "robot")
    assert not await may(town, "create", "serviceaccounts/token", "a", "admin")
    assert not await may(town, "create", "serviceaccounts/token", "b", "robot")
    assert not await may(town, "get", "serviceaccounts", "a", "robot")
    assert not await may(town, "create", "serviceaccounts", "a", "robot")


async def test_pods(town: Town) -> None:
    for verb, what in (("get", "pods"), ("delete", "pods"), ("patch", "pods/status"), ("update", "pods/status")):
        assert await may(town, verb, what, "a", "mine"), (verb, what)
        for name in ("theirs", "pending", "nothing"):
            decision = await town.authorizer.authorise(asked(verb, what, "a", name))
            assert not decision.allowed, (verb, what, name)
            assert decision.reason.endswith(REFUSED_TO_ALL)
    for verb in ("list", "watch"):
        for namespace in ("", "a"):
            assert await may(town, verb, "pods", namespace, field_selector={"spec.nodeName": "n1"})
            assert not await may(town, verb, "pods", namespace, field_selector={"spec.nodeName": "n2"})
            assert not await may(town, verb, "pods", namespace)
    for verb, what in (
        ("update", "pods"),
        ("patch", "pods"),
        ("deletecollection", "pods"),
        ("create", "pods/binding"),
        ("create", "pods/exec"),
        ("get", "pods/log"),
        ("create", "pods/eviction"),
        ("patch", "pods/ephemeralcontainers"),
    ):
        assert not await may(town, verb, what, "a", "mine"), (verb, what)


async def test_mirrors_of_its_static_pods(town: Town) -> None:
    """What else is asked of them, test_static_pods says."""
    town.namespaces.put("", "free")
    town.namespaces.put("", "a", metadata={"labels": {"tenancy.moorage.io/tenant": "acme"}})

    async def lets_in(
        namespace: str = "free", node: str = "n1", annotation: str = "kubernetes.io/config.mirror"
    ) -> bool:
        document = {"metadata": {"annotations": {annotation: "hash"}}, "spec": {"nodeName": node}}
        return await may(town, "create", "pods", namespace, "mirror", document=document)

    assert await lets_in()
    assert not await lets_in(node="n2")
    assert not await lets_in(annotation="kubernetes.io/config.source")
    assert not await lets_in("a")
    assert not await lets_in("nowhere")
    assert not await may(town, "create", "pods", "free", "mirror")


async def test_a_pod_of_its_own_that_is_gone_is_not_found(town: Town) -> None:
    """Agents end a pod by deleting it, and take "not found" for done."""
    town.pod_index._bury(town.pods.objects["a", "mine"])
    town.pods.drop("a", "mine")
    assert await may(town, "delete", "pods", "a", "mine")
    other = Identity("system:node:n2", frozenset({names.NODES}))
    question = Attributes(other, "delete", "", "pods", "", "a", "mine")
    assert not (await town.authorizer.authorise(question)).allowed


async def test_itself_and_nobody_else(town: Town) -> None:
    for verb in ("get", "watch", "update", "patch", "create"):
        assert await may(town, verb, "nodes", "", "n1"), verb
    assert await may(town, "patch", "nodes/status", "", "n1")
    assert await may(town, "create", "nodes", "", document={"metadata": {"name": "n1"}})
    assert not await may(town, "create", "nodes", "", document={"metadata": {"name": "n2"}})
    assert not await may(town, "create", "nodes", "")
    for verb, what in (("get", "nodes"), ("update", "nodes"), ("patch", "nodes"), ("patch", "nodes/status")):
        assert not await may(town, verb, what, "", "n2"), (verb, what)
    for verb in ("delete", "deletecollection"):
        assert not await may(town, verb, "nodes", "", "n1")
    # Addresses and ranges of the others are what routes are made of; kubelets may not, kube-proxy may.
    assert await may(town, "list", "nodes", "")
    assert await may(town, "watch", "nodes", "")


async def test_its_lease(town: Town) -> None:
    for verb in ("get", "update", "patch", "delete"):
        assert await may(town, verb, "leases.coordination.k8s.io", "kube-node-lease", "n1")
        assert not await may(town, verb, "leases.coordination.k8s.io", "kube-node-lease", "n2")
        assert not await may(town, verb, "leases.coordination.k8s.io", "kube-system", "n1")
    document = {"metadata": {"name": "n1"}}
    assert await may(town, "create", "leases.coordination.k8s.io", "kube-node-lease", document=document)
    assert not await may(
        town, "create", "leases.coordination.k8s.io", "kube-node-lease", document={"metadata": {"name": "n2"}}
    )
    for verb in ("list", "watch", "deletecollection"):
        assert not await may(town, verb, "leases.coordination.k8s.io", "kube-node-lease")


async def test_what_the_network_of_a_node_is_made_of(town: Town) -> None:
    for what in ("services", "endpointslices.discovery.k8s.io", "policyrules.network.moorage.io"):
        for verb in ("get", "list", "watch"):
            assert await may(town, verb, what, "")
        for verb in ("create", "update", "patch", "delete"):
            assert not await may(town, verb, what, "a", "x")
    for what in ("networkpolicies.networking.k8s.io", "namespaces", "endpoints", "roles.rbac.authorization.k8s.io"):
        assert not await may(town, "list", what, "")


async def test_events_may_be_told_and_not_read(town: Town) -> None:
    for what in ("events", "events.events.k8s.io"):
        for verb in ("create", "update", "patch"):
            assert await may(town, verb, what, "a")
        for verb in ("get", "list", "watch", "delete"):
            assert not await may(town, verb, what, "a")


async def test_the_group_makes_no_node_of_anybody(town: Town) -> None:
    """Only system:node:NAME in system:nodes is a node: neither the name nor the group alone."""
    for user, groups in (("ann", {names.NODES}), ("system:node:", {names.NODES}), ("system:node:n1", {"people"})):
        question = Attributes(Identity(user, frozenset(groups)), "get", "", "secrets", "", "a", "mounted")
        assert not (await town.authorizer.authorise(question)).allowed, user


async def refusals(kind: Kind, new: dict[str, Any], old: dict[str, Any] | None, subresource: str = "") -> list[str]:
    identity = Identity("system:node:n1", frozenset({names.NODES}))
    request = AdmissionRequest(
        identity,
        "UPDATE" if old else "CREATE",
        kind,
        subresource,
        "",
        "n1",
        new,
        old,
        False,
        view=None,  # type: ignore[arg-type]  # not looked at
    )
    return [error.message for error in await NodeRestriction().validate(request)]


def folder(*finalizers: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": "v", "finalizers": list(finalizers), "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {"claimRef": {"name": "old"}}, "status": {"phase": "Released"}, **more}


@pytest.mark.parametrize(
    ("new", "allowed"),
    [
        (folder("other"), True),
        (folder(), False),
        (folder("other", "volumes.moorage.io/folder"), False),
        (folder("other", spec={"claimRef": {"name": "another"}}), False),
        (folder("other", status={"phase": "Available"}), False),
    ],
)
async def test_of_a_volume_it_takes_its_own_finalizer_away_only(new: dict[str, Any], allowed: bool) -> None:
    new["metadata"] |= {"resourceVersion": "2", "managedFields": [{}]}
    found = await refusals(PERSISTENT_VOLUME, new, folder("volumes.moorage.io/folder", "other"))
    assert bool(found) is not allowed


def node(labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "n1", "labels": labels or {}}, "spec": spec}


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("example.com/rack", True),
        ("rack", True),
        ("kubernetes.io/hostname", True),
        ("topology.kubernetes.io/zone", True),
        ("kubelet.kubernetes.io/x", True),
        ("a.node.kubernetes.io/x", True),
        ("node-restriction.kubernetes.io/pool", False),
        ("a.node-restriction.kubernetes.io/pool", False),
        ("node-role.kubernetes.io/control-plane", False),
        ("x.k8s.io/y", False),
        ("moorage.io/pool", False),
        ("tenancy.moorage.io/tenant", False),
    ],
)
async def test_labels_of_its_own(label: str, allowed: bool) -> None:
    assert may_label(label) is allowed
    for new, old in (
        (node({label: "a"}), node()),
        (node(), node({label: "a"})),
        (node({label: "b"}), node({label: "a"})),
    ):
        assert (await refusals(NODE, new, old) == []) is allowed
    assert (await refusals(NODE, node({label: "a"}), None) == []) is allowed
    assert await refusals(NODE, node({label: "a"}), node({label: "a"})) == []


async def test_taints_and_addresses_of_its_own() -> None:
    taint = {"key": "a", "effect": "NoSchedule"}
    assert await refusals(NODE, node(taints=[taint]), None) == []
    assert await refusals(NODE, node(), node(taints=[taint])) == ['node "n1" is not allowed to modify taints']
    assert await refusals(NODE, node(taints=[taint]), node()) == ['node "n1" is not allowed to modify taints']
    chosen = ['node "n1" is not allowed to choose its range of pod addresses']
    assert await refusals(NODE, node(podCIDR="10.1.0.0/24"), None) == chosen
    assert await refusals(NODE, node(podCIDRs=["10.1.0.0/24"]), node()) == chosen
    assert await refusals(NODE, node(podCIDR="10.1.0.0/24"), node(podCIDR="10.1.0.0/24")) == []


async def test_labels_of_its_pods() -> None:
    old = {"metadata": {"name": "p", "labels": {"app": "web"}}, "spec": {}, "status": {}}
    assert await refusals(POD, {**old, "status": {"phase": "Running"}}, old, "status") == []
    relabelled = {**old, "metadata": {"name": "p", "labels": {"app": "database"}}}
    assert await refusals(POD, relabelled, old, "status") == ['node "n1" cannot update labels through pod status']
