"""Namespaces as prey: their names, labels, finalizers, and how many there may be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.attacks.arena import NAMESPACES, TENANTS, Arena, config_map, deleted, pod, transaction
from tests.attacks.caller import refused
from tests.support.rest import APPLY, JSON_PATCH, STRATEGIC, Document

TENANT = "tenancy.moorage.io/tenant"


def named(name: str, **metadata: object) -> Document:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


def test_names_that_are_not_for_tenants(arena: Arena) -> None:
    attacker, victim, mallory = arena.attacker, arena.victim, arena.mallory
    reserved = ("kube-system", "kube-evil", "default", "moorage-x", "kube-node-lease", victim.tenant, victim.namespace)
    broken = (
        "KUBE-SYSTEM",
        "kube_system",
        "a" * 64,
        "-a",
        "a-",
        "a.b",
        "a/b",
        "..",
        "\u212aube-system",
        "kube\u00adsystem",
        "a\u0000",
        "a ",
        "",
    )
    for name in (*reserved, *broken):
        refused(mallory.send("POST", NAMESPACES, named(name)), 400, 403, 409, 422)
        refused(mallory.send("POST", NAMESPACES, named(name, labels={TENANT: attacker.tenant})), 400, 403, 409, 422)
        step = transaction({"verb": "apply", "object": named(name), "force": True})
        refused(mallory.send("POST", "/apis/moorage.io/v1/transactions", step), 400, 403, 409, 422)
    for name in ("kube-", "moorage-", victim.tenant[:-1]):
        answer = mallory.send("POST", NAMESPACES, {"metadata": {"generateName": name}})
        assert answer.code in (201, 403, 422), answer.text
        if answer.code == 201:
            made = answer.document["metadata"]["name"]
            assert not made.startswith(("kube-", "moorage-"))
            assert made != victim.tenant
            mallory.send("DELETE", f"{NAMESPACES}/{made}")


def test_the_label_that_says_whose_it_is(arena: Arena) -> None:
    """By every verb, patch and subresource; the victim's, the platform's, and one's own to give away."""
    attacker, victim, mallory = arena.attacker, arena.victim, arena.mallory
    mine = {"metadata": {"labels": {TENANT: attacker.tenant}}}
    theirs = {"metadata": {"labels": {TENANT: victim.tenant}}}
    for name, change in (
        (victim.namespace, mine),
        ("default", mine),
        ("kube-system", mine),
        (attacker.namespace, theirs),
    ):
        path = f"{NAMESPACES}/{name}"
        for subresource in ("", "/status", "/finalize"):
            here = path + subresource
            refused(mallory.merge(here, change), 403, 404, 405)
            refused(mallory.send("PATCH", here, change, STRATEGIC), 403, 404, 405)
            step = [
                {
                    "op": "add",
                    "path": "/metadata/labels/tenancy.moorage.io~1tenant",
                    "value": change["metadata"]["labels"][TENANT],
                }
            ]
            refused(mallory.send("PATCH", here, step, JSON_PATCH), 403, 404, 405)
            refused(
                mallory.send("PUT", here, {**named(name), "metadata": {"name": name, **change["metadata"]}}),
                403,
                404,
                405,
            )
            whole = {**named(name), "metadata": {"name": name, **change["metadata"]}}
            refused(mallory.send("PATCH", f"{here}?fieldManager=x&force=true", whole, APPLY), 403, 404, 405)
    refused(mallory.send("POST", NAMESPACES, named("gift", labels={TENANT: victim.tenant})))
    mallory.merge(f"{NAMESPACES}/{attacker.namespace}", {"metadata": {"labels": {TENANT: None}}})
    labels = arena.admin.get(f"{NAMESPACES}/{attacker.namespace}")["metadata"]["labels"]
    assert labels[TENANT] == attacker.tenant


def test_labels_that_mean_something(arena: Arena) -> None:
    """Pod security, names and the platform's own labels and annotations are not the owner's to loosen."""
    attacker, mallory = arena.attacker, arena.mallory
    path = f"{NAMESPACES}/{attacker.namespace}"
    before = arena.admin.get(path)["metadata"]
    changes: list[Document] = [
        {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        {"labels": {"pod-security.kubernetes.io/enforce": None}},
        {"labels": {"pod-security.kubernetes.io/enforce-version": "v1.0"}},
        {"labels": {"pod-security.kubernetes.io/enforce": "Privileged"}},
        {"labels": {"kubernetes.io/metadata.name": arena.victim.namespace}},
        {"labels": {"moorage.io/team": "x"}},
        {"labels": {"tenancy.moorage.io/managed": "true"}},
        {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "a=b"}},
        {"annotations": {"secrets.moorage.io/x": "y"}},
        {"finalizers": ["attack.example/never"]},
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "x"}]},
    ]
    for change in changes:
        mallory.merge(path, {"metadata": change})
        after = arena.admin.get(path)["metadata"]
        for field in ("labels", "annotations", "finalizers", "ownerReferences"):
            assert after.get(field) == before.get(field), (change, after)
    refused(
        mallory.send("POST", NAMESPACES, named("loose", labels={"pod-security.kubernetes.io/enforce": "privileged"}))
    )
    for managed in ("networkpolicies", "limitranges", "resourcequotas"):
        group = "networking.k8s.io/v1" if managed == "networkpolicies" else ""
        for item in arena.admin.get(attacker.at(managed, group=group))["items"]:
            here = attacker.at(managed, item["metadata"]["name"], group=group)
            refused(mallory.send("DELETE", here))
            refused(mallory.merge(here, {"spec": None}))
            refused(mallory.merge(here, {"metadata": {"labels": None}}))
    own_policy = attacker.at("networkpolicies", group="networking.k8s.io/v1")
    forged = {
        "metadata": {"name": "forged", "labels": {"tenancy.moorage.io/managed": "true"}},
        "spec": {"podSelector": {}},
    }
    refused(mallory.send("POST", own_policy, forged))


async def test_finalizers_hold_up_their_own_only(arena: Arena) -> None:
    """What the attacker leaves undeletable keeps its own namespace; the name's next owner and everybody else are untouched."""
    attacker, victim, mallory = arena.attacker, arena.victim, arena.mallory
    name = f"{attacker.tenant}-held"
    mallory.create(NAMESPACES, named(name))
    held = config_map("held")
    held["metadata"]["finalizers"] = ["attack.example/never"]
    mallory.create(f"{NAMESPACES}/{name}/configmaps", held)
    mallory.send("DELETE", f"{NAMESPACES}/{name}")
    refused(mallory.send("POST", f"{NAMESPACES}/{name}/configmaps", config_map("late")), 403, 409)
    refused(mallory.send("PUT", f"{NAMESPACES}/{name}/finalize", {**named(name), "spec": {"finalizers": []}}))
    other = f"{victim.tenant}-other"
    victim.caller.create(NAMESPACES, named(other))
    await deleted(arena.admin, f"{NAMESPACES}/{other}")
    arena.admin.merge(f"{NAMESPACES}/{name}/configmaps/held", {"metadata": {"finalizers": None}})
    await deleted(arena.admin, f"{NAMESPACES}/{name}")


def test_what_a_tenant_may_have_by_races(arena: Arena) -> None:
    """Thirty at once, of namespaces and of pods, never pass the limit by one."""
    attacker, mallory = arena.attacker, arena.mallory
    path = f"{TENANTS}/{attacker.tenant}"
    have = len(
        [item for item in mallory.get(NAMESPACES)["items"] if item["metadata"]["labels"].get(TENANT) == attacker.tenant]
    )
    arena.admin.merge(path, {"spec": {"namespaces": {"limit": have + 2}, "quota": {"hard": {"pods": "3"}}}})
    with ThreadPoolExecutor(15) as many:
        names = [f"{attacker.tenant}-race-{number}" for number in range(30)]
        made = list(many.map(lambda name: mallory.send("POST", NAMESPACES, named(name)).code, names))
        pods = list(
            many.map(lambda number: mallory.send("POST", attacker.at("pods"), pod(f"race-{number}")).code, range(30))
        )
    assert made.count(201) == 2, made
    assert pods.count(201) == 3, pods
    assert set(made) | set(pods) == {201, 403}


def test_a_team_does_not_get_a_tenants_namespace_of_its_name(arena: Arena) -> None:
    """A team owns the namespace of its name only while no tenant has it."""
    victim = arena.victim
    team = arena.as_(arena.token(team=victim.namespace))
    for path in (
        victim.at("secrets", "db"),
        victim.at("secrets"),
        victim.at("configmaps"),
        f"{NAMESPACES}/{victim.namespace}",
    ):
        answer = refused(team.send("GET", path))
        assert arena.canary not in answer.text
    refused(team.send("POST", victim.at("configmaps"), config_map("x")))
