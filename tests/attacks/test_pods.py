"""Pods as a way to the node, to other accounts, to other machines, and round what a tenant may have.

Tenants are held to the level ``baseline`` unless an administrator says otherwise.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.arena import NAMESPACES, Arena, pod, transaction
from tests.attacks.caller import refused
from tests.support.rest import JSON_PATCH, STRATEGIC, Document
from tests.support.wait import until


def main(**security: Any) -> Document:
    """The pod's one container with a security context."""
    return {"containers": [{"name": "main", "image": "registry.example.com/app:1", "securityContext": security}]}


FORBIDDEN: dict[str, Document] = {
    "privileged": main(privileged=True),
    "host path": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]},
    "the engine's socket": {"volumes": [{"name": "x", "hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}}]},
    "host path by dots": {"volumes": [{"name": "x", "hostPath": {"path": "/srv/../etc"}}]},
    "host network": {"hostNetwork": True},
    "host processes": {"hostPID": True},
    "host messages": {"hostIPC": True},
    "capabilities": main(capabilities={"add": ["SYS_ADMIN"]}),
    "capabilities with a prefix": main(capabilities={"add": ["CAP_SYS_ADMIN"]}),
    "all capabilities": main(capabilities={"add": ["ALL"]}),
    "raw sockets": main(capabilities={"add": ["NET_RAW"]}),
    "bare proc": main(procMount="Unmasked"),
    "kernel settings": {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
    "no confinement": main(seccompProfile={"type": "Unconfined"}),
    "no confinement of the pod": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "no apparmor": main(appArmorProfile={"type": "Unconfined"}),
    "an selinux role": main(seLinuxOptions={"type": "spc_t"}),
    "a windows host process": main(windowsOptions={"hostProcess": True}),
    "a port of the host": {
        "containers": [{"name": "main", "image": "x", "ports": [{"containerPort": 1, "hostPort": 10250}]}]
    },
    "a probe of another host": {
        "containers": [
            {"name": "main", "image": "x", "livenessProbe": {"httpGet": {"port": 80, "host": "169.254.169.254"}}}
        ]
    },
    "a hook to another host": {
        "containers": [
            {"name": "main", "image": "x", "lifecycle": {"postStart": {"httpGet": {"port": 80, "host": "127.0.0.1"}}}}
        ]
    },
    "privileged first container": {
        "initContainers": [{"name": "i", "image": "x", "securityContext": {"privileged": True}}]
    },
    "the platform's priority": {"priorityClassName": "system-node-critical"},
    "every reserved node": {"tolerations": [{"operator": "Exists"}]},
    "another tenant's node": {"tolerations": [{"key": "tenancy.moorage.io/pool", "operator": "Exists"}]},
    "dots below a volume": {
        "containers": [
            {"name": "main", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "../../etc"}]}
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
    },
}
WORKLOADS = {
    "apps/v1": ("deployments", "replicasets", "daemonsets", "statefulsets"),
    "batch/v1": ("jobs", "cronjobs"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_pods_that_ask_for_too_much(arena: Arena, what: str) -> None:
    """By each way that makes a pod, by the owner and by a program of the tenant."""
    attacker = arena.attacker
    document = pod("evil", **FORBIDDEN[what])
    placed = {**document, "metadata": {"name": "evil", "namespace": attacker.namespace}}
    for caller in (arena.mallory,):
        refused(caller.send("POST", attacker.at("pods"), document), 403, 422)
        apply = {"verb": "apply", "object": placed, "force": True}
        refused(caller.send("POST", "/apis/moorage.io/v1/transactions", transaction(apply)), 403, 422)
        batch = caller.send(
            "POST", "/apis/moorage.io/v1/batches", transaction({"verb": "create", "object": placed}, kind="Batch")
        )
        assert batch.document["status"]["results"][0]["code"] in (403, 422), batch.text
    assert arena.admin.send("GET", attacker.at("pods", "evil")).code == 404


async def test_workloads_make_no_pod_that_may_not_be_made(arena: Arena) -> None:
    """What a template holds too much of is refused, or its pods are."""
    attacker, mallory = arena.attacker, arena.mallory
    labels, taken = {"app": "evil"}, list[str]()
    for what in ("privileged", "host network", "host path"):
        template = {"metadata": {"labels": labels}, "spec": pod("x", **FORBIDDEN[what])["spec"]}
        name = f"evil-{what.replace(' ', '-')}"
        for group, plurals in WORKLOADS.items():
            for plural in plurals:
                spec: Document = {"selector": {"matchLabels": labels}, "template": template}
                if group == "batch/v1":
                    job = {"template": {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}}
                    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": job}} if plural == "cronjobs" else job
                path = attacker.at(plural, group=group)
                if mallory.send("POST", path, {"metadata": {"name": name}, "spec": spec}).code == 201:
                    taken.append(f"{path}/{name}")
    await until(lambda: all("ReplicaFailure" in told(arena.admin.get(path)) for path in taken))
    assert arena.admin.get(attacker.at("pods"), labelSelector="app=evil")["items"] == []


def told(document: Document) -> list[str]:
    """The conditions that are true."""
    return [each["type"] for each in document.get("status", {}).get("conditions", []) if each["status"] == "True"]


def test_changes_of_a_harmless_pod(arena: Arena) -> None:
    """A pod that was let in does not become another: by patch, ephemeral container, resize, status or binding."""
    attacker, mallory = arena.attacker, arena.mallory
    mallory.create(attacker.at("pods"), pod("harmless"))
    path = attacker.at("pods", "harmless")
    debug = {"name": "debug", "image": "x", "securityContext": {"privileged": True}, "targetContainerName": "main"}
    refused(
        mallory.send("PATCH", f"{path}/ephemeralcontainers", {"spec": {"ephemeralContainers": [debug]}}, STRATEGIC),
        403,
        422,
    )
    for change in (
        {"hostNetwork": True},
        {"nodeName": "test-node"},
        {"serviceAccountName": "deployer"},
        {"priority": 2_000_000_000},
        {"containers": [{"name": "main", "securityContext": {"privileged": True}}]},
        {"tolerations": [{"operator": "Exists"}]},
    ):
        refused(mallory.send("PATCH", path, {"spec": change}, STRATEGIC), 403, 422)
    refused(mallory.merge(f"{path}/status", {"status": {"phase": "Succeeded", "podIP": "10.0.0.1"}}))
    refused(
        mallory.merge(
            f"{path}/resize", {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "-1"}}}]}}
        ),
        403,
        422,
    )
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "harmless", "namespace": attacker.namespace},
        "target": {"kind": "Node", "name": arena.node_name},
    }
    refused(mallory.send("POST", f"{path}/binding", binding))
    refused(mallory.send("POST", attacker.at("bindings"), binding), 403, 404)
    operation = {"verb": "create", "subresource": "binding", "object": binding}
    refused(mallory.send("POST", "/apis/moorage.io/v1/transactions", transaction(operation)))
    move = [{"op": "replace", "path": "/metadata/namespace", "value": arena.victim.namespace}]
    refused(mallory.send("PATCH", path, move, JSON_PATCH), 400, 403, 422)


def test_anothers_account_volumes_and_claims(arena: Arena) -> None:
    """A pod names accounts, secrets and claims of its own namespace only, and none is found by a name that leads out."""
    attacker, victim, mallory = arena.attacker, arena.victim, arena.mallory
    for name in ("deployer", f"{victim.namespace}/deployer", f"{victim.namespace}:deployer", "../deployer"):
        refused(mallory.send("POST", attacker.at("pods"), pod("borrowed", serviceAccountName=name)), 403, 422)
    for volume in (
        {"secret": {"secretName": f"../{victim.namespace}/db"}},
        {"configMap": {"name": f"{victim.namespace}/settings"}},
        {"persistentVolumeClaim": {"claimName": f"{victim.namespace}/data"}},
        {"projected": {"sources": [{"secret": {"name": f"../{victim.namespace}/db"}}]}},
        {"projected": {"sources": [{"secret": {"name": "x", "items": [{"key": "a", "path": "../../etc/passwd"}]}}]}},
        {"downwardAPI": {"items": [{"path": "/etc/passwd", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ):
        # A name that is no name may be taken by the schema; then nothing is found by it, for it is looked up in the namespace.
        answer = mallory.send("POST", attacker.at("pods"), pod("leads-out", volumes=[{"name": "v", **volume}]))
        assert answer.code in (201, 403, 422), answer.text
        if answer.code == 201:
            assert "items" not in str(volume), volume
            mallory.send("DELETE", attacker.at("pods", "leads-out"))


def test_templates_of_secrets_in_another_namespace(arena: Arena) -> None:
    """References that may name a namespace (claims' data sources, services' other names) reach nothing of the victim's."""
    attacker, victim, mallory = arena.attacker, arena.victim, arena.mallory
    claim = {
        "metadata": {"name": "copy"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "data", "namespace": victim.namespace},
        },
    }
    answer = mallory.send("POST", attacker.at("persistentvolumeclaims"), claim)
    if answer.code == 201:
        assert "namespace" not in (answer.document["spec"].get("dataSourceRef") or {}), answer.text
    else:
        refused(answer, 403, 422)
    assert arena.canary not in answer.text


def test_quota_is_not_gone_round(arena: Arena) -> None:
    """Neither by status, resize, ephemeral containers, scale, batches, replaces nor negative and huge amounts."""
    attacker, mallory = arena.attacker, arena.mallory
    path = f"{NAMESPACES}/{attacker.namespace}/resourcequotas"
    arena.admin.create(
        path, {"metadata": {"name": "few"}, "spec": {"hard": {"requests.cpu": "1", "count/secrets": "3"}}}
    )
    try:
        sized = pod("sized")
        sized["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "900m"}}
        mallory.create(attacker.at("pods"), sized)
        sized["metadata"]["name"] = "second"
        refused(mallory.send("POST", attacker.at("pods"), sized))
        grow = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "5"}}}]}}
        refused(mallory.send("PATCH", attacker.at("pods", "sized/resize"), grow, STRATEGIC), 403, 422)
        for amount in ("-5", "1e400", "1e99", "9223372036854775808", "-0", "0x10", "NaN", "1_000", "\u0661"):
            sized["spec"]["containers"][0]["resources"] = {"requests": {"cpu": amount}}
            answer = mallory.send("POST", attacker.at("pods"), sized)
            assert answer.code in (400, 403, 422) or amount in ("-0", "0"), (amount, answer.text)
            mallory.send("DELETE", attacker.at("pods", "second"))
        refused(mallory.merge(f"{path}/few", {"spec": {"hard": {"requests.cpu": "100"}}}))
        refused(mallory.merge(f"{path}/few/status", {"status": {"used": {"requests.cpu": "0"}}}))
        refused(mallory.send("DELETE", f"{path}/few"))
        many = [
            {
                "verb": "create",
                "object": {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": f"s{n}", "namespace": attacker.namespace},
                },
            }
            for n in range(8)
        ]
        refused(mallory.send("POST", "/apis/moorage.io/v1/transactions", transaction(*many)))
        mallory.send("POST", "/apis/moorage.io/v1/batches", transaction(*many, kind="Batch"))
        assert len(mallory.get(attacker.at("secrets"))["items"]) <= 3
    finally:
        arena.admin.send("DELETE", f"{path}/few")


async def test_amounts_past_every_number_stop_nobody(arena: Arena) -> None:
    """What overflows 64 bits breaks neither the commits of others nor the scheduler, which adds amounts up."""
    victim, mallory = arena.victim, arena.mallory
    for count, amount in ((1, "1e400"), (1, "9223372036854775807"), (40, "9E")):
        name = f"huge-{count}-{amount[:3]}"
        container: Document = {
            "image": "x",
            "resources": {"requests": {"cpu": amount, "memory": amount, "example.com/x": "9E"}},
        }
        container["resources"]["limits"] = {"example.com/x": "9E"}
        containers = [{**container, "name": f"c{n}"} for n in range(count)]
        answer = mallory.send("POST", arena.attacker.at("pods"), pod(name, containers=containers, nodeSelector={}))
        assert answer.code in (201, 422), answer.text
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1e400"}}}
    for name in ("huge-1", "huge-2"):
        mallory.send("POST", arena.attacker.at("persistentvolumeclaims"), {"metadata": {"name": name}, "spec": claim})
    quota = {"metadata": {"name": "after"}, "spec": {"hard": {"requests.cpu": "1", "requests.storage": "1Gi"}}}
    arena.admin.create(arena.attacker.at("resourcequotas"), quota)
    victim.caller.create(victim.at("pods"), pod("scheduled", nodeSelector={}))
    placed = victim.at("pods", "scheduled")
    await until(lambda: victim.caller.get(placed)["spec"].get("nodeName"))
