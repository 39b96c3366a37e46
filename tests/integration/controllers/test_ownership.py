"""Owner references, namespaces and default ServiceAccounts on the real API."""

from __future__ import annotations

from typing import Any

from moorage.client.objects import Document
from moorage.client.resource import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from tests.integration.controllers.cluster import Cluster, deployment, running_cluster
from tests.support.apiserver import RunningApi
from tests.support.wait import throughout, until


async def test_deleting_a_deployment_takes_everything_with_it(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=3))
        await cluster.rolled_out("web")
        await cluster.client.delete(DEPLOYMENTS, "web", "team")
        await _eventually_empty(cluster, "pods", PODS)
        await _eventually_empty(cluster, "replica sets", REPLICA_SETS)


async def test_foreground_deletion_ends_with_the_owner(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=3))
        await cluster.rolled_out("web")
        for kubelet in cluster.kubelets.values():
            kubelet.alive = False  # pods cannot end, so neither may their owners
        found = await cluster.client.delete(DEPLOYMENTS, "web", "team", propagation="Foreground")
        assert found["metadata"]["finalizers"] == ["foregroundDeletion"]

        async def owners_wait() -> None:
            sets = await cluster.objects(REPLICA_SETS)
            assert sets
            assert all(each["metadata"].get("deletionTimestamp") for each in sets)

        await until(lambda: _true(owners_wait()))
        await cluster.client.get(DEPLOYMENTS, "web", "team")
        for kubelet in cluster.kubelets.values():
            kubelet.alive = True
            kubelet.poke()
        await until(lambda: cluster.gone(lambda: cluster.client.get(DEPLOYMENTS, "web", "team")))
        assert await cluster.objects(PODS) == []
        assert await cluster.objects(REPLICA_SETS) == []


async def test_orphaning_leaves_the_dependents(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=2))
        await cluster.rolled_out("web")
        await cluster.client.delete(DEPLOYMENTS, "web", "team", propagation="Orphan")
        await until(lambda: cluster.gone(lambda: cluster.client.get(DEPLOYMENTS, "web", "team")))
        (replica_set,) = await cluster.objects(REPLICA_SETS)
        assert not replica_set["metadata"].get("ownerReferences")
        assert len(await cluster.ready_pods()) == 2
        await cluster.deploy(deployment(replicas=2))
        await cluster.rolled_out("web")
        (adopted,) = await cluster.objects(REPLICA_SETS)
        assert adopted["metadata"]["uid"] == replica_set["metadata"]["uid"]


async def test_an_owner_that_never_was_takes_its_dependent_along(api: RunningApi) -> None:
    async with running_cluster(api, nodes=0) as cluster:
        owner = await _config_map(cluster, "owner")
        await _config_map(cluster, "kept", _reference(owner))
        await _config_map(cluster, "lost", {**_reference(owner), "uid": "00000000-0000-0000-0000-000000000000"})
        gone = {**_reference(owner), "name": "nobody", "uid": "00000000-0000-0000-0000-000000000001"}
        await _config_map(cluster, "half", _reference(owner), gone)
        await until(lambda: cluster.gone(lambda: cluster.client.get(CONFIG_MAPS, "lost", "team")))

        async def half_freed() -> bool:
            found = await cluster.client.get(CONFIG_MAPS, "half", "team")
            return len(found["metadata"]["ownerReferences"]) == 1

        await until(half_freed)

        async def kept() -> None:
            await cluster.client.get(CONFIG_MAPS, "kept", "team")

        await throughout(kept, seconds=0.3)


async def test_an_owner_in_another_namespace_is_no_owner(api: RunningApi) -> None:
    async with running_cluster(api, nodes=0) as cluster:
        await cluster.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "far"}})
        owner = await _config_map(cluster, "owner", namespace="far")
        await _config_map(cluster, "there", _reference(owner), namespace="far")
        await _config_map(cluster, "here", _reference(owner))
        await until(lambda: cluster.gone(lambda: cluster.client.get(CONFIG_MAPS, "here", "team")))
        await cluster.client.get(CONFIG_MAPS, "there", "far")


async def test_a_deleted_namespace_empties_itself_and_goes(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=2))
        await cluster.rolled_out("web")
        await _config_map(cluster, "settings")
        held = await _config_map(cluster, "held", finalizers=["example.com/hold"])
        port = {"port": 80}
        service = {
            "metadata": {"name": "web", "namespace": "team"},
            "spec": {"selector": {"app": "web"}, "ports": [port]},
        }
        await cluster.client.create(SERVICES, {"apiVersion": "v1", "kind": "Service", **service})
        await cluster.client.delete(NAMESPACES, "team")

        async def held_up() -> None:
            found = await cluster.client.get(NAMESPACES, "team")
            conditions = {each["type"]: each["message"] for each in found["status"].get("conditions") or ()}
            expected = (
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
            )
            assert conditions.get("NamespaceFinalizersRemaining") == expected, conditions

        await until(lambda: _true(held_up()))
        assert await cluster.objects(PODS) == []
        change = {"metadata": {"uid": held["metadata"]["uid"], "finalizers": None}}
        await cluster.client.patch(CONFIG_MAPS, "held", change, "team")
        await until(lambda: cluster.gone(lambda: cluster.client.get(NAMESPACES, "team")), timeout=40)


async def test_every_namespace_has_a_default_service_account(api: RunningApi) -> None:
    async with running_cluster(api, nodes=0) as cluster:

        async def eventually() -> Document | None:
            found = (await cluster.client.list(SERVICE_ACCOUNTS, "team")).items
            return found[0] if found else None

        async def exists() -> Document:
            found = await eventually()
            assert found is not None, "no default ServiceAccount"
            return found

        first = await until(exists)
        await cluster.client.delete(SERVICE_ACCOUNTS, "default", "team")

        async def made_again() -> bool:
            found = await eventually()
            return found is not None and found["metadata"]["uid"] != first["metadata"]["uid"]

        await until(made_again)


def _reference(owner: Document) -> Document:
    metadata = owner["metadata"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": metadata["name"], "uid": metadata["uid"]}


async def _config_map(
    cluster: Cluster, name: str, *owners: Document, namespace: str = "team", **metadata: Any
) -> Document:
    full: Document = {"name": name, "namespace": namespace, **metadata}
    if owners:
        full["ownerReferences"] = list(owners)
    return await cluster.client.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": full})


async def _eventually_empty(cluster: Cluster, what: str, resource: Any) -> None:
    async def empty() -> bool:
        left = await cluster.objects(resource)
        assert not left, f"{what}: {[each['metadata']['name'] for each in left]}"
        return True

    await until(empty)


async def _true(check: Any) -> bool:
    await check
    return True
