"""Who may make which namespace, and that nobody takes one that is another's: every verb, subresource and form of patch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.tenants.tenancy.rig import NAMESPACES, TENANTS, Rig, namespace, pod

LABEL = "tenancy.moorage.io/tenant"
JSON, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"


async def test_the_namespace_of_an_owner_gets_tenant_level_and_furniture(rig: Rig) -> None:
    await rig.tenant(
        "blue",
        defaultRequests={"cpu": "100m"},
        resourceQuotas=[{"hard": {"pods": "5"}}],
        namespaces={"labels": {"cost": "blue"}},
    )
    made = await rig.namespace("blue-shop")
    labels = made["metadata"]["labels"]
    assert labels == {
        LABEL: "blue",
        "cost": "blue",
        "kubernetes.io/metadata.name": "blue-shop",
        "pod-security.kubernetes.io/enforce": "baseline",
    }
    policy = await rig.ok(
        "alice", "GET", "/apis/networking.k8s.io/v1/namespaces/blue-shop/networkpolicies/moorage-tenant-isolation"
    )
    first = policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchExpressions"]
    assert first == [{"key": LABEL, "operator": "In", "values": ["blue"]}]
    limits = await rig.ok("alice", "GET", f"{NAMESPACES}/blue-shop/limitranges/moorage-tenant-limits")
    assert limits["spec"]["limits"] == [{"type": "Container", "defaultRequest": {"cpu": "100m"}}]
    quota = await rig.ok("alice", "GET", f"{NAMESPACES}/blue-shop/resourcequotas/moorage-tenant-quota")
    assert quota["spec"]["hard"] == {"pods": "5"}


async def test_owners_by_group_and_by_service_account(rig: Rig) -> None:
    robot = {"kind": "ServiceAccount", "namespace": "blue-ci", "name": "robot"}
    await rig.tenant("blue", owners=[{"kind": "Group", "name": "blue-team"}, robot])
    for number, who in enumerate(("gina", "robot")):
        made = await rig.namespace(f"ns-{number}", who)
        assert made["metadata"]["labels"][LABEL] == "blue"


async def test_who_owns_several_tenants_says_which(rig: Rig) -> None:
    for name in ("blue", "green", "green-field"):
        await rig.tenant(name)
    message = await rig.refused("alice", "POST", NAMESPACES, namespace("shop"))
    assert "you own the tenants blue, green, green-field" in message
    assert f"{LABEL}: blue" in message
    assert (await rig.namespace("shop", labels={LABEL: "green"}))["metadata"]["labels"][LABEL] == "green"
    assert (await rig.namespace("green-field-1"))["metadata"]["labels"][LABEL] == "green-field"
    assert (await rig.namespace("blue-1"))["metadata"]["labels"][LABEL] == "blue"
    generated = await rig.ok("alice", "POST", NAMESPACES, {"metadata": {"generateName": "green-"}})
    assert generated["metadata"]["labels"][LABEL] == "green"


async def test_a_tenant_of_somebody_else_is_refused(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.tenant("red", owners=[{"kind": "User", "name": "eve"}])
    message = await rig.refused("eve", "POST", NAMESPACES, namespace("shop", labels={LABEL: "blue"}))
    assert 'User "eve" does not own tenant "blue"; tenants that you own: red' in message
    message = await rig.refused("gina", "POST", NAMESPACES, namespace("shop", labels={LABEL: "blue"}))
    assert "tenants that you own: none" in message


@pytest.mark.parametrize("name", ["kube-evil", "moorage-evil", "default"])
async def test_names_of_the_platform_are_refused(rig: Rig, name: str) -> None:
    await rig.tenant("blue")
    code, document, _ = await rig.send("alice", "POST", NAMESPACES, namespace(name))
    assert (code, document["reason"]) in ((403, "Forbidden"), (409, "AlreadyExists"))


async def test_names_of_other_tenants_are_refused(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.tenant("red", owners=[{"kind": "User", "name": "eve"}], namespaces={"requirePrefix": True})
    for name in ("red", "red-shop"):
        assert 'belongs to tenant "red"' in await rig.refused("alice", "POST", NAMESPACES, namespace(name))
    message = await rig.refused("eve", "POST", NAMESPACES, namespace("shop"))
    assert 'try "red-shop"' in message
    await rig.namespace("red-shop", "eve")
    await rig.namespace("redder")


async def _matrix(rig: Rig, name: str, change: dict[str, Any]) -> list[tuple[str, str, Any, str]]:
    """Every way to write ``metadata.labels`` of a namespace: (method, path, body, content type)."""
    current = await rig.ok("admin-token", "GET", f"{NAMESPACES}/{name}")
    labels = {**current["metadata"]["labels"], **change}
    labels = {key: value for key, value in labels.items() if value is not None}
    whole = {**current, "metadata": {**current["metadata"], "labels": labels}}
    merge = {"metadata": {"labels": change}}
    escaped = LABEL.replace("/", "~1")
    value = change[LABEL]
    operation = (
        {"op": "remove", "path": f"/metadata/labels/{escaped}"}
        if value is None
        else {"op": "add", "path": f"/metadata/labels/{escaped}", "value": value}
    )
    applied = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: value or ""}}}
    ways: list[tuple[str, str, Any, str]] = []
    for subresource in ("", "/status", "/finalize"):
        path = f"{NAMESPACES}/{name}{subresource}"
        ways.append(("PUT", path, whole, "application/json"))
        if subresource != "/finalize":
            ways.append(("PATCH", path, merge, MERGE))
            ways.append(("PATCH", path, merge, STRATEGIC))
            ways.append(("PATCH", path, [operation], JSON))
            ways.append(("PATCH", f"{path}?fieldManager=eve&force=true", applied, APPLY))
    return ways


@pytest.mark.parametrize("value", ["red", "", "nobody", None])
async def test_no_way_of_writing_moves_a_namespace_to_another_tenant(rig: Rig, value: str | None) -> None:
    """Capsule's CVE-2026-30963: namespaces/finalize and namespaces/status were not looked at."""
    await rig.tenant("blue")
    await rig.tenant("red", owners=[{"kind": "User", "name": "eve"}])
    await rig.namespace("shop")
    await rig.ok("admin-token", "POST", NAMESPACES, namespace("free"))
    for name, tenant in (("shop", "blue"), ("free", None), ("kube-system", None), ("default", None)):
        for who in ("eve", "alice"):
            for method, path, body, content in await _matrix(rig, name, {LABEL: value}):
                await rig.send(who, method, path, body, content)
                live = await rig.ok("admin-token", "GET", f"{NAMESPACES}/{name}")
                found = live["metadata"]["labels"].get(LABEL)
                assert found == tenant, f"{who} {method} {path} {content} moved {name} to {found}"


async def test_transactions_and_batches_move_none_either(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.tenant("red", owners=[{"kind": "User", "name": "eve"}])
    await rig.namespace("shop")
    stolen = namespace("shop", labels={LABEL: "red"})
    for verb in ("apply", "update"):
        spec = {"operations": [{"verb": verb, "object": stolen, "force": True}]}
        for kind, plural in (("Transaction", "transactions"), ("Batch", "batches")):
            body = {"apiVersion": "moorage.io/v1", "kind": kind, "spec": spec}
            await rig.send("eve", "POST", f"/apis/moorage.io/v1/{plural}", body)
    live = await rig.ok("admin-token", "GET", f"{NAMESPACES}/shop")
    assert live["metadata"]["labels"][LABEL] == "blue"


async def test_a_replace_without_the_label_keeps_it_and_says_so(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.namespace("shop")
    code, document, warnings = await rig.send("alice", "PUT", f"{NAMESPACES}/shop", namespace("shop"))
    assert code == 200, document
    assert document["metadata"]["labels"][LABEL] == "blue"
    assert any("was kept" in warning for warning in warnings)


async def test_administrators_assign_and_take_back_namespaces(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.tenant("red", network={"isolation": False})
    await rig.ok("admin-token", "POST", NAMESPACES, namespace("shop"))
    path = f"{NAMESPACES}/shop"
    policies = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"
    message = await rig.refused("admin-token", "PATCH", path, {"metadata": {"labels": {LABEL: "none"}}}, MERGE)
    assert "moorage tenants create none" in message
    for tenant, count in (("blue", 1), ("red", 0), ("blue", 1), (None, 0)):
        await rig.ok("admin-token", "PATCH", path, {"metadata": {"labels": {LABEL: tenant}}}, MERGE)
        assert len((await rig.ok("admin-token", "GET", policies))["items"]) == count
    for name in ("default", "kube-system"):
        body = {"metadata": {"labels": {LABEL: "blue"}}}
        assert "platform's own" in await rig.refused("admin-token", "PATCH", f"{NAMESPACES}/{name}", body, MERGE)


async def test_levels_may_only_be_made_stricter(rig: Rig) -> None:
    await rig.tenant("blue", podSecurity={"enforce": "baseline", "warn": "restricted"})
    await rig.namespace("shop")
    path, prefix = f"{NAMESPACES}/shop", "pod-security.kubernetes.io/"

    def labels(**values: str | None) -> dict[str, Any]:
        return {"metadata": {"labels": {prefix + key.replace("_", "-"): value for key, value in values.items()}}}

    for change in (
        labels(enforce="privileged"),
        labels(enforce="anything"),
        labels(warn="baseline"),
        labels(enforce_version="v1.20"),
    ):
        message = await rig.refused("alice", "PATCH", path, change, MERGE)
        assert 'tenant "blue" may not' in message
    await rig.ok("alice", "PATCH", path, labels(enforce="restricted", enforce_version="latest"), MERGE)
    await rig.ok("alice", "PATCH", path, labels(enforce="baseline"), MERGE)
    await rig.ok("alice", "PATCH", path, labels(enforce=None), MERGE)
    live = await rig.ok("alice", "GET", path)
    assert live["metadata"]["labels"][f"{prefix}enforce"] == "baseline"


async def test_labels_annotations_finalizers_and_owners_of_namespaces(rig: Rig) -> None:
    await rig.tenant("blue", namespaces={"labels": {"cost": "blue"}, "allowedLabels": ["team.example.com/*", "stage"]})
    await rig.namespace("shop", labels={"stage": "test", "team.example.com/a": "b"})
    path = f"{NAMESPACES}/shop"
    tenant = await rig.ok("admin-token", "GET", f"{TENANTS}/blue")
    owner = {"apiVersion": "tenancy.moorage.io/v1", "kind": "Tenant", "name": "blue", "uid": tenant["metadata"]["uid"]}
    for metadata, field in (
        ({"labels": {"cost": "red"}}, "metadata.labels[cost]"),
        ({"labels": {"other": "x"}}, "spec.namespaces.allowedLabels"),
        ({"labels": {"node-role.kubernetes.io/x": ""}}, "metadata.labels[node-role.kubernetes.io/x]"),
        ({"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "a=b"}}, "metadata.annotations"),
        ({"annotations": {"tenancy.moorage.io/x": "y"}}, "metadata.annotations"),
        ({"finalizers": ["example.com/stay"]}, "metadata.finalizers"),
        ({"ownerReferences": [owner]}, "metadata.ownerReferences"),
    ):
        message = await rig.refused("alice", "PATCH", path, {"metadata": metadata}, MERGE)
        assert field in message
    change = {"metadata": {"labels": {"stage": "live"}, "annotations": {"example.com/note": "x"}}}
    await rig.ok("alice", "PATCH", path, change, MERGE)


async def test_the_limit_of_namespaces_holds_under_races(rig: Rig) -> None:
    await rig.tenant("blue", namespaces={"limit": 5})
    tries = [rig.send("alice", "POST", NAMESPACES, namespace(f"shop-{number}")) for number in range(40)]
    codes = [code for code, _document, _warnings in await asyncio.gather(*tries)]
    assert sorted(codes) == [201] * 5 + [403] * 35
    message = await rig.refused("alice", "POST", NAMESPACES, namespace("one-more"))
    assert 'exceeded quota of tenant "blue"' in message
    assert "used: count/namespaces=5, limited: count/namespaces=5" in message


async def test_quota_over_all_namespaces_holds_under_races(rig: Rig) -> None:
    await rig.tenant("blue", quota={"hard": {"pods": "10", "requests.cpu": "700m"}})
    for name in ("one", "two"):
        await rig.namespace(name)

    def asking(number: int) -> Any:
        body = pod(f"web-{number}")
        body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
        return rig.send("alice", "POST", f"{NAMESPACES}/{('one', 'two')[number % 2]}/pods", body)

    codes = [code for code, _document, _warnings in await asyncio.gather(*map(asking, range(30)))]
    assert sorted(codes) == [201] * 7 + [403] * 23
    _, document, _ = await asking(99)
    assert (
        'exceeded quota of tenant "blue": requested: requests.cpu=100m, used: requests.cpu=700m' in document["message"]
    )


async def test_one_transaction_makes_a_namespace_and_its_contents(rig: Rig) -> None:
    await rig.tenant("blue", registries={"allowed": ["registry.example.com"]}, priorityClasses={"default": "low"})

    def body(image: str) -> dict[str, Any]:
        web = pod(image=image)
        web["metadata"]["namespace"] = "shop"
        operations = [{"verb": "apply", "object": each, "force": True} for each in (namespace("shop"), web)]
        spec = {"operations": operations, "fieldManager": "push"}
        return {"apiVersion": "moorage.io/v1", "kind": "Transaction", "spec": spec}

    path = "/apis/moorage.io/v1/transactions"
    _, document, _ = await rig.send("alice", "POST", path, body("docker.io/library/nginx"))
    assert 'tenant "blue" may not use the image' in str(document)
    await rig.refused("admin-token", "GET", f"{NAMESPACES}/shop", code=404)
    await rig.ok("alice", "POST", path, body("registry.example.com/web:1"))
    made = await rig.ok("alice", "GET", f"{NAMESPACES}/shop/pods/web")
    assert made["spec"]["priorityClassName"] == "low"
    policies = await rig.ok("alice", "GET", "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies")
    assert [each["metadata"]["name"] for each in policies["items"]] == ["moorage-tenant-isolation"]


async def test_a_locked_tenant_takes_no_writes(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.namespace("shop")
    await rig.change("blue", suspended=True)
    for method, path, body in (
        ("POST", NAMESPACES, namespace("more")),
        ("POST", NAMESPACES, namespace("more", labels={LABEL: "blue"})),
        ("POST", f"{NAMESPACES}/shop/pods", pod()),
        ("DELETE", f"{NAMESPACES}/shop", None),
        ("POST", f"{NAMESPACES}/shop/configmaps", {"metadata": {"name": "x"}}),
    ):
        assert "suspended" in await rig.refused("alice", method, path, body)
    await rig.ok("controllers", "POST", f"{NAMESPACES}/shop/configmaps", {"metadata": {"name": "x"}})
    await rig.change("blue", suspended=False)
    await rig.ok("alice", "POST", f"{NAMESPACES}/shop/pods", pod())
