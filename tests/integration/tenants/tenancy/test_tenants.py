"""Tenants themselves: what owners change, and how a tenant ends and comes back."""

from __future__ import annotations

import time
from typing import Any

from moorage_tenants.tenancy import TenantUsage
from tests.integration.tenants.tenancy.rig import NAMESPACES, TENANTS, Rig, controlled, pod
from tests.support.wait import until

MERGE = "application/merge-patch+json"
BLUE = f"{TENANTS}/blue"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"


async def status(rig: Rig, name: str = "blue") -> dict[str, Any]:
    found: dict[str, Any] = (await rig.ok("admin-token", "GET", f"{TENANTS}/{name}"))["status"]
    return found


async def test_owners_invite_members_and_let_others_in_and_change_nothing_else(rig: Rig) -> None:
    await rig.tenant("blue", quota={"hard": {"pods": "1"}})
    bob = {"kind": "User", "name": "bob", "role": "view"}
    change = {"members": [bob], "description": "the shop", "network": {"allowFrom": ["green"]}}
    await rig.ok("alice", "PATCH", BLUE, {"spec": change}, MERGE)
    for spec in (
        {"quota": {"hard": {"pods": "1000"}}},
        {"owners": [{"kind": "User", "name": "eve"}]},
        {"suspended": True},
        {"network": {"isolation": False}},
        {"podSecurity": {"enforce": "privileged"}},
        {"deletion": {"keepDays": 0}},
    ):
        message = await rig.refused("alice", "PATCH", BLUE, {"spec": spec}, MERGE)
        assert f"spec.{next(iter(spec))}: only an administrator" in message
    changes: tuple[dict[str, Any], ...] = ({"finalizers": []}, {"labels": {"a": "b"}}, {"annotations": {"a": "b"}})
    for metadata in changes:
        await rig.refused("alice", "PATCH", BLUE, {"metadata": metadata}, MERGE)


async def test_owners_hand_out_no_roles_beyond_their_own(rig: Rig) -> None:
    await rig.tenant("blue", members=[{"kind": "User", "name": "carol", "role": "deployer"}])

    def members(*roles: str) -> dict[str, Any]:
        found = [{"kind": "User", "name": f"user-{role}", "role": role} for role in roles]
        return {"spec": {"members": [{"kind": "User", "name": "carol", "role": "deployer"}, *found]}}

    await rig.ok("alice", "PATCH", BLUE, members("view", "edit", "admin"), MERGE)
    for role in ("cluster-admin", "deployer", "nobody-made-this"):
        message = await rig.refused("alice", "PATCH", BLUE, members(role), MERGE)
        assert f"kubectl label clusterrole {role} tenancy.moorage.io/grantable=true" in message
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    label = {"tenancy.moorage.io/grantable": "true"}
    await rig.ok("admin-token", "POST", roles, {"metadata": {"name": "deployer", "labels": label}, "rules": []})
    await rig.ok("alice", "PATCH", BLUE, members("deployer"), MERGE)


async def test_a_tenant_with_namespaces_is_not_deleted_by_mistake(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.namespace("shop")
    message = await rig.refused("admin-token", "DELETE", BLUE)
    assert "the tenant has 1 namespace (shop)" in message
    assert "moorage tenants delete blue" in message
    await rig.send("admin-token", "DELETE", TENANTS)
    await rig.ok("admin-token", "GET", BLUE)
    await rig.refused("admin-token", "PATCH", BLUE, {"metadata": {"finalizers": []}}, MERGE)


async def test_the_mark_says_who_and_when_and_cannot_be_backdated(rig: Rig) -> None:
    await rig.tenant("blue")
    asked = {"requestedAt": "2001-01-01T00:00:00Z", "requestedBy": "nobody"}
    await rig.change("blue", deletion=asked)
    deletion = (await rig.ok("admin-token", "GET", BLUE))["spec"]["deletion"]
    assert deletion["requestedBy"] == "admin"
    assert deletion["requestedAt"] >= time.strftime("%Y-%m-%dT", time.gmtime())
    assert (deletion["keepDays"], deletion["workloads"]) == (7, "Keep")
    await rig.change("blue", deletion=asked)
    assert (await rig.ok("admin-token", "GET", BLUE))["spec"]["deletion"] == deletion


async def test_status_tells_namespaces_and_phase(rig: Rig) -> None:
    async with controlled(rig):
        await rig.tenant("blue")
        await rig.namespace("shop")

        async def seen() -> bool:
            found = await status(rig)
            assert found.get("namespaces") == ["shop"], found
            assert found["namespaceCount"] == 1
            assert found["phase"] == "Active"
            return True

        await until(seen)
        await rig.change("blue", suspended=True)

        async def suspended() -> bool:
            assert (await status(rig))["phase"] == "Suspended"
            return True

        await until(suspended)


async def test_furniture_follows_the_tenant_and_comes_back(rig: Rig) -> None:
    async with controlled(rig):
        await rig.tenant("blue")
        await rig.namespace("shop")
        isolation = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/moorage-tenant-isolation"
        limits = f"{NAMESPACES}/shop/limitranges/moorage-tenant-limits"
        await rig.change(
            "blue",
            network={"allowFrom": ["green"]},
            defaultRequests={"memory": "64Mi"},
            podSecurity={"enforce": "restricted"},
            namespaces={"labels": {"cost": "7"}},
        )

        async def changed() -> bool:
            peers = (await rig.ok("alice", "GET", isolation))["spec"]["ingress"][0]["from"]
            assert peers[0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["blue", "green"]
            items = (await rig.ok("alice", "GET", limits))["spec"]["limits"]
            assert items == [{"type": "Container", "defaultRequest": {"memory": "64Mi"}}]
            labels = (await rig.ok("alice", "GET", f"{NAMESPACES}/shop"))["metadata"]["labels"]
            assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
            assert labels["cost"] == "7"
            return True

        await until(changed)
        await rig.ok("admin-token", "DELETE", isolation)

        async def back() -> bool:
            assert (await rig.send("alice", "GET", isolation))[0] == 200
            return True

        await until(back)
        await rig.change("blue", network={"isolation": False}, defaultRequests=None)

        async def gone() -> bool:
            assert (await rig.send("alice", "GET", isolation))[0] == 404
            assert (await rig.send("alice", "GET", limits))[0] == 404
            return True

        await until(gone)


async def test_a_marked_tenant_stops_and_comes_back_as_it_was(rig: Rig) -> None:
    async with controlled(rig):
        await rig.tenant("blue")
        await rig.namespace("shop")
        labels = {"app": "web"}
        template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
        body = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
        await rig.ok("alice", "POST", DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": body})
        pods = f"{NAMESPACES}/shop/pods"
        await rig.ok("alice", "POST", pods, pod("alone"))
        await rig.change("blue", deletion={"workloads": "Stop"})

        async def stopped() -> bool:
            assert (await rig.send("admin-token", "GET", f"{pods}/alone"))[0] == 404
            assert (await rig.ok("admin-token", "GET", f"{DEPLOYMENTS}/web"))["spec"]["replicas"] == 0
            found = await status(rig)
            assert found["phase"] == "Deleting"
            assert found["deleteAt"]
            assert {"WorkloadsStopped": "True"}.items() <= {c["type"]: c["status"] for c in found["conditions"]}.items()
            return True

        await until(stopped)
        message = await rig.refused("alice", "PATCH", f"{DEPLOYMENTS}/web", {"spec": {"replicas": 1}}, MERGE)
        assert "moorage tenants restore blue" in message
        await rig.change("blue", deletion=None)

        async def started() -> bool:
            found = await rig.ok("admin-token", "GET", f"{DEPLOYMENTS}/web")
            assert found["spec"]["replicas"] == 3
            assert "tenancy.moorage.io/before-deletion" not in found["metadata"].get("annotations", {})
            assert (await rig.ok("admin-token", "GET", f"{pods}/alone"))["spec"]["containers"][0]["image"]
            assert (await rig.ok("admin-token", "GET", f"{NAMESPACES}/shop/podtemplates"))["items"] == []
            after = await status(rig)
            assert after["phase"] == "Active"
            assert "deleteAt" not in after
            return True

        await until(started)


async def test_a_tenant_whose_days_are_over_goes_with_all_it_has(rig: Rig) -> None:
    async with controlled(rig):
        await rig.tenant("blue")
        await rig.namespace("shop")
        await rig.ok("alice", "POST", f"{NAMESPACES}/shop/configmaps", {"metadata": {"name": "x"}})
        await rig.change("blue", deletion={"keepDays": 0})

        async def gone() -> bool:
            assert (await rig.send("admin-token", "GET", BLUE))[0] == 404
            return True

        await until(gone, timeout=40)
        assert (await rig.send("admin-token", "GET", f"{NAMESPACES}/shop"))[0] == 404
        await rig.tenant("blue")
        await rig.namespace("shop")


async def test_usage_is_told_in_the_status(rig: Rig) -> None:
    await rig.tenant("blue", quota={"hard": {"pods": "10", "requests.cpu": "2", "requests.memory": "1Gi"}})
    await rig.namespace("shop")
    body = pod()
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "250m", "memory": "64Mi"}}
    await rig.ok("alice", "POST", f"{NAMESPACES}/shop/pods", body)
    writer = TenantUsage(rig.api.store.quotas, rig.api.app.transactor)
    await writer.look()
    assert (await status(rig))["usage"] == {
        "hard": {"pods": "10", "requests.cpu": "2", "requests.memory": "1Gi"},
        "used": {"pods": "1", "requests.cpu": "250m", "requests.memory": "64Mi"},
    }
    await rig.ok("alice", "DELETE", f"{NAMESPACES}/shop/pods/web?gracePeriodSeconds=0")
    await writer.look()
    assert (await status(rig))["usage"]["used"] == {"pods": "0", "requests.cpu": "0", "requests.memory": "0"}
