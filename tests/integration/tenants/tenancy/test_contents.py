"""What a tenant's pods, services, claims and ingresses may ask for; refusals say tenant, field, what is allowed, and a remedy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.tenants.tenancy.rig import NAMESPACES, Rig, pod

MERGE = "application/merge-patch+json"
PODS = f"{NAMESPACES}/shop/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"


def deployment(spec: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


POD_RULES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        {"registries": {"allowed": ["registry.example.com/blue/*"]}},
        {"initContainers": [{"name": "x", "image": "nginx"}]},
        "initContainers[0].image",
        "spec.registries.allowed): registry.example.com/blue/*",
    ),
    (
        {"registries": {"allowed": ["registry.example.com"]}},
        {"volumes": [{"name": "x", "image": {"reference": "evil.example.com/x:1"}}]},
        "volumes[0].image.reference",
        "spec.registries.allowed",
    ),
    (
        {},
        {"volumes": [{"name": "x", "hostPath": {"path": "/etc"}}]},
        "volumes[0].hostPath.path",
        "spec.hostPaths.allowed",
    ),
    (
        {"hostPaths": {"allowed": ["/srv/blue"]}},
        {"volumes": [{"name": "x", "hostPath": {"path": "/srv/blue-not/x"}}]},
        "volumes[0].hostPath.path",
        "/srv/blue",
    ),
    ({}, {"priorityClassName": "system-node-critical"}, "priorityClassName", "spec.priorityClasses.allowed"),
    (
        {"priorityClasses": {"allowed": ["low", "blue-*"]}},
        {"priorityClassName": "high"},
        "priorityClassName",
        "low, blue-*",
    ),
    (
        {"nodePools": {"selector": {"pool": "blue"}}},
        {"nodeSelector": {"pool": "red"}},
        "nodeSelector[pool]",
        "spec.nodePools.selector",
    ),
    ({}, {"tolerations": [{"operator": "Exists"}]}, "tolerations[0]", "spec.nodePools.tolerations"),
    (
        {},
        {"tolerations": [{"key": "tenancy.moorage.io/pool", "value": "red", "effect": "NoSchedule"}]},
        "tolerations[0]",
        "spec.nodePools.tolerations",
    ),
    (
        {"storageClasses": {"allowed": ["standard"]}},
        {
            "volumes": [
                {
                    "name": "x",
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {
                                "storageClassName": "fast",
                                "accessModes": ["ReadWriteOnce"],
                                "resources": {"requests": {"storage": "1Gi"}},
                            }
                        }
                    },
                }
            ]
        },
        "volumes[0].ephemeral.volumeClaimTemplate.spec.storageClassName",
        "spec.storageClasses.allowed",
    ),
]


async def test_pods_and_templates_outside_of_the_rules_are_refused(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.namespace("shop")
    for rules, spec, field, allowed in POD_RULES:
        await rig.change("blue", **(dict.fromkeys(POD_FIELDS) | rules))
        body = pod(**spec)
        for who in ("alice", "admin-token", "controllers"):
            message = await rig.refused(who, "POST", PODS, body)
            assert message.startswith('pods "web" is forbidden: spec.' + field), message
            assert 'tenant "blue" may not' in message
            assert allowed in message
            assert "kubectl edit tenant blue" in message
        message = await rig.refused("alice", "POST", DEPLOYMENTS, deployment(body["spec"]))
        assert message.startswith('deployments.apps "web" is forbidden: spec.template.spec.' + field), message


POD_FIELDS = ("registries", "hostPaths", "priorityClasses", "nodePools", "storageClasses")


async def test_pods_get_nodes_tolerations_and_class_of_their_tenant(rig: Rig) -> None:
    toleration = {"key": "tenancy.moorage.io/pool", "operator": "Equal", "value": "blue", "effect": "NoSchedule"}
    pools = {"selector": {"pool": "blue"}, "tolerations": [toleration]}
    await rig.tenant("blue", nodePools=pools, priorityClasses={"allowed": ["low"], "default": "low"})
    await rig.namespace("shop")
    made = await rig.ok("alice", "POST", PODS, pod(nodeSelector={"disk": "fast"}))
    assert made["spec"]["nodeSelector"] == {"pool": "blue", "disk": "fast"}
    assert toleration in made["spec"]["tolerations"]
    assert made["spec"]["priorityClassName"] == "low"
    again = pod("again", tolerations=[toleration])
    await rig.ok("alice", "POST", PODS, again)


async def test_no_tenant_comes_before_others_unless_it_may(rig: Rig) -> None:
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    for name, value in (("low", -5), ("plain", 0), ("high", 10)):
        await rig.ok("admin-token", "POST", classes, {"metadata": {"name": name}, "value": value})
    await rig.tenant("blue")
    await rig.namespace("shop")
    for name in ("low", "plain"):
        await rig.ok("alice", "POST", PODS, pod(name, priorityClassName=name))
    refused = await rig.refused("alice", "POST", PODS, pod(priorityClassName="high"))
    assert 'spec.priorityClassName: tenant "blue" may not use the priority class "high" (10)' in refused
    template = deployment(pod(priorityClassName="high")["spec"])
    assert "spec.template.spec.priorityClassName" in await rig.refused("alice", "POST", DEPLOYMENTS, template)
    await rig.change("blue", priorityClasses={"allowed": ["high"]})
    await rig.ok("alice", "POST", DEPLOYMENTS, template)
    await rig.ok("alice", "POST", PODS, pod(priorityClassName="high"))
    await rig.change("blue", priorityClasses=None)
    await rig.ok("alice", "PATCH", f"{DEPLOYMENTS}/web", {"spec": {"replicas": 3}}, MERGE)
    await rig.ok("alice", "PATCH", f"{PODS}/web", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    await rig.ok("admin-token", "PATCH", f"{classes}/high", {"globalDefault": True}, MERGE)
    await rig.ok("alice", "POST", PODS, pod("usual", priorityClassName="high"))


async def test_objects_without_a_spec_get_none(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.namespace("shop")
    made = await rig.ok("alice", "POST", f"{NAMESPACES}/shop/configmaps", {"metadata": {"name": "settings"}})
    assert "spec" not in made
    await rig.ok("alice", "PATCH", f"{NAMESPACES}/shop/configmaps/settings?fieldValidation=Strict", {"data": {}}, MERGE)


async def test_a_pod_cannot_go_round_the_scheduler_to_a_node_of_others(rig: Rig) -> None:
    await rig.tenant("blue", nodePools={"selector": {"pool": "blue"}})
    await rig.namespace("shop")
    for name in ("blue", "red"):
        node = {"metadata": {"name": f"node-{name}", "labels": {"pool": name}}}
        await rig.ok("admin-token", "POST", "/api/v1/nodes", node)
    for name in ("node-red", "nowhere"):
        assert "spec.nodeName" in await rig.refused("alice", "POST", PODS, pod(nodeName=name))
    await rig.ok("alice", "POST", PODS, pod(nodeName="node-blue"))


async def test_what_was_there_before_a_rule_may_stay_and_go(rig: Rig) -> None:
    """A stricter rule must not keep finalizers, labels and deletions of what runs from being written."""
    await rig.tenant("blue")
    await rig.namespace("shop")
    await rig.ok("alice", "POST", PODS, pod())
    await rig.ok("alice", "POST", DEPLOYMENTS, deployment(pod()["spec"]))
    await rig.change("blue", registries={"allowed": ["elsewhere.example.com"]})
    await rig.ok("alice", "PATCH", f"{PODS}/web", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    await rig.ok("alice", "PATCH", f"{DEPLOYMENTS}/web", {"spec": {"replicas": 3}}, MERGE)
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other.example.com/x"}]
    await rig.refused("alice", "PATCH", f"{DEPLOYMENTS}/web", image, "application/json-patch+json")
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "other.example.com/x"}]
    await rig.refused("alice", "PATCH", f"{PODS}/web", image, "application/json-patch+json")
    await rig.ok("alice", "DELETE", f"{PODS}/web")


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], **spec}}


def ingress(**spec: Any) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": "web.red.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {"metadata": {"name": "web"}, "spec": {"rules": [rule], **spec}}


def claim(**spec: Any) -> dict[str, Any]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": "data"}, "spec": {**asked, **spec}}


INGRESSES = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses"
OTHER_RULES: list[tuple[dict[str, Any], str, dict[str, Any], str]] = [
    ({}, f"{NAMESPACES}/shop/services", service(type="NodePort"), "spec.type"),
    ({}, f"{NAMESPACES}/shop/services", service(type="LoadBalancer"), "spec.type"),
    ({}, f"{NAMESPACES}/shop/services", service(externalIPs=["203.0.113.9"]), "spec.externalIPs[0]"),
    (
        {"serviceTypes": {"allowed": ["ClusterIP", "LoadBalancer"], "externalIPs": ["203.0.113.0/28"]}},
        f"{NAMESPACES}/shop/services",
        service(type="LoadBalancer", loadBalancerIP="203.0.113.99"),
        "spec.loadBalancerIP",
    ),
    (
        {"ingressClasses": {"allowed": ["public"]}},
        INGRESSES,
        ingress(ingressClassName="internal"),
        "spec.ingressClassName",
    ),
    ({"ingressClasses": {"allowed": ["public"]}}, INGRESSES, ingress(), "spec.ingressClassName"),
    ({"hostnames": {"allowed": ["*.blue.example.com"]}}, INGRESSES, ingress(), "spec.rules[0].host"),
    (
        {"storageClasses": {"allowed": ["standard"]}},
        f"{NAMESPACES}/shop/persistentvolumeclaims",
        claim(storageClassName="fast"),
        "spec.storageClassName",
    ),
    (
        {"storageClasses": {"allowed": ["standard"]}},
        f"{NAMESPACES}/shop/persistentvolumeclaims",
        claim(storageClassName=""),
        "spec.storageClassName",
    ),
]


@pytest.mark.parametrize(("rules", "path", "body", "field"), OTHER_RULES)
async def test_other_objects_outside_of_the_rules_are_refused(
    rig: Rig, rules: dict[str, Any], path: str, body: dict[str, Any], field: str
) -> None:
    await rig.tenant("blue", **rules)
    await rig.namespace("shop")
    message = await rig.refused("alice", "POST", path, body)
    assert f'is forbidden: {field}: tenant "blue" may not' in message


async def test_classes_of_the_tenant_are_filled_in(rig: Rig) -> None:
    await rig.tenant(
        "blue",
        storageClasses={"allowed": ["standard"], "default": "standard"},
        ingressClasses={"allowed": ["public"], "default": "public"},
    )
    await rig.namespace("shop")
    made = await rig.ok("alice", "POST", f"{NAMESPACES}/shop/persistentvolumeclaims", claim())
    assert made["spec"]["storageClassName"] == "standard"
    made = await rig.ok("alice", "POST", INGRESSES, ingress())
    assert made["spec"]["ingressClassName"] == "public"


async def test_the_platforms_objects_are_not_changed_or_imitated(rig: Rig) -> None:
    await rig.tenant("blue", defaultRequests={"cpu": "1"})
    await rig.namespace("shop")
    policies = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"
    mark = "tenancy.moorage.io/managed"
    name = f"{policies}/moorage-tenant-isolation"
    for method, path, body in (
        ("DELETE", name, None),
        ("DELETE", f"{NAMESPACES}/shop/limitranges/moorage-tenant-limits", None),
        ("PATCH", name, {"metadata": {"labels": {mark: None}}}),
        ("PATCH", name, {"spec": {"ingress": [{}]}}),
        ("POST", policies, {"metadata": {"name": "x", "labels": {mark: "true"}}, "spec": {"podSelector": {}}}),
        (
            "POST",
            f"{NAMESPACES}/shop/podtemplates",
            {"metadata": {"name": "x", "labels": {mark: "true"}}, "template": pod()},
        ),
    ):
        content = MERGE if method == "PATCH" else "application/json"
        assert 'follow tenant "blue"' in await rig.refused("alice", method, path, body, content)
    await rig.send("alice", "DELETE", policies)
    assert (await rig.ok("alice", "GET", name))["spec"]["policyTypes"] == ["Ingress"]


async def test_a_network_policy_that_lets_anybody_in_by_labels_is_warned_about(rig: Rig) -> None:
    await rig.tenant("blue")
    await rig.namespace("shop")
    policies = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"

    def policy(name: str, **labels: str) -> dict[str, Any]:
        peer = {"namespaceSelector": {"matchLabels": labels}}
        return {"metadata": {"name": name}, "spec": {"podSelector": {}, "ingress": [{"from": [peer]}]}}

    _, _, warnings = await rig.send("alice", "POST", policies, policy("open", stage="live"))
    assert any("other tenants can give" in warning for warning in warnings)
    closed = {"stage": "live", "tenancy.moorage.io/tenant": "blue"}
    _, _, warnings = await rig.send("alice", "POST", policies, policy("closed", **closed))
    assert warnings == []
