"""ServiceAccounts, Leases, Services and Nodes as stored objects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rest import STRATEGIC, Document, Rest
from tests.support.wait import until


@pytest.fixture
def services(space: str) -> str:
    return f"/api/v1/namespaces/{space}/services"


def test_the_life_of_a_service_account(api: Rest, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/serviceaccounts"
    start = api.get(path)["metadata"]["resourceVersion"]
    with api.watch(path, labelSelector="test=sa", resourceVersion=start) as events:
        api.create(path, {"metadata": {"name": "robot", "labels": {"test": "sa"}}})
        assert next(events)[0] == "ADDED"
        api.patch(f"{path}/robot", {"automountServiceAccountToken": False}, STRATEGIC)
        assert next(events)[1]["automountServiceAccountToken"] is False
        found = api.get("/api/v1/serviceaccounts", labelSelector="test=sa")["items"]
        assert [item["automountServiceAccountToken"] for item in found] == [False]
        read = api.get(f"{path}/robot")
        read["automountServiceAccountToken"] = True
        assert api.replace(f"{path}/robot", read)["automountServiceAccountToken"] is True
        api.delete(path, labelSelector="test=sa")
        assert [next(events)[0] for _ in range(2)] == ["MODIFIED", "DELETED"]


async def test_the_default_service_account_comes_back(api: Rest, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/serviceaccounts/default"
    first = await until(lambda: not api.missing(path) and api.get(path)["metadata"]["uid"])
    api.delete(path)
    await until(lambda: not api.missing(path) and api.get(path)["metadata"]["uid"] != first)


def test_leases(api: Rest, space: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases"
    spec = {
        "holderIdentity": "holder", "leaseDurationSeconds": 30, "leaseTransitions": 0,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:05.123456Z",
    }  # fmt: skip
    api.create(path, {"metadata": {"name": "lease"}, "spec": spec})
    read = api.get(f"{path}/lease")
    assert read["spec"] == spec
    read["spec"] = {**spec, "holderIdentity": "other", "leaseTransitions": 1}
    api.replace(f"{path}/lease", read)
    assert api.get(f"{path}/lease")["spec"] == read["spec"]
    api.patch(f"{path}/lease", {"spec": {"leaseDurationSeconds": 60}})
    assert api.get(f"{path}/lease")["spec"]["leaseDurationSeconds"] == 60
    api.create(path, {"metadata": {"name": "second", "labels": {"deletecollection": "true"}}, "spec": spec})
    assert api.names(path) == ["lease", "second"]
    api.delete(path, labelSelector="deletecollection=true")
    assert api.names(path) == ["lease"]
    api.delete(f"{path}/lease")
    assert api.missing(f"{path}/lease")
    wrong = {"metadata": {"name": "wrong"}, "spec": {**spec, "leaseDurationSeconds": 0}}
    message = api.request("POST", path, wrong).refused(422)
    assert "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0" in message


def _service(name: str, **spec: Any) -> Document:
    return {"metadata": {"name": name, "labels": {"test": name}}, "spec": spec}


def test_the_life_of_a_service_and_of_its_status(api: Rest, services: str) -> None:
    start = api.get(services)["metadata"]["resourceVersion"]
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    with api.watch(services, labelSelector="test=life", resourceVersion=start) as events:
        made = api.create(services, _service("life", type="LoadBalancer", ports=ports))
        assert made["spec"]["ports"][0]["protocol"] == "TCP"
        assert next(events)[0] == "ADDED"
        assert api.get(f"{services}/life/status")["status"] == {"loadBalancer": {}}
        balancer = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
        patched = api.patch(f"{services}/life/status", {"metadata": {"annotations": {"a": "b"}}, "status": balancer})
        assert patched["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
        assert next(events)[1]["metadata"]["annotations"] == {"a": "b"}
        read = api.get(f"{services}/life")
        condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set by a test"}
        read["status"]["conditions"] = [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        updated = api.replace(f"{services}/life/status", read)
        assert updated["status"]["conditions"][0]["message"] == "Set by a test"
        label = {"metadata": {"labels": {"test-service-static": "patched"}}}
        assert api.patch(f"{services}/life", label)["metadata"]["labels"]["test-service-static"] == "patched"
        api.delete(f"{services}/life")
        assert [next(events)[0] for _ in range(3)] == ["MODIFIED", "MODIFIED", "DELETED"]


def test_the_api_has_a_service_of_its_own(api: Rest) -> None:
    found = api.get("/api/v1/services", fieldSelector="metadata.name=kubernetes,metadata.namespace=default")["items"]
    assert [(each["metadata"]["labels"], each["spec"]["ports"][0]["port"]) for each in found] == [
        ({"component": "apiserver", "provider": "kubernetes"}, 443)
    ]


def test_a_service_changes_its_type(api: Rest, services: str) -> None:
    external = _service("types", type="ExternalName", externalName="foo.example.com")
    made = api.create(services, external)
    assert not made["spec"].get("clusterIP")
    read = api.get(f"{services}/types")
    read["spec"].update(type="ClusterIP", externalName="", ports=[{"port": 80, "protocol": "TCP"}])
    cluster = api.replace(f"{services}/types", read)["spec"]
    assert (cluster["type"], cluster["ports"][0]["port"]) == ("ClusterIP", 80)
    assert "externalName" not in cluster
    node = api.patch(f"{services}/types", {"spec": {"type": "NodePort"}})["spec"]
    assert (node["type"], node["externalTrafficPolicy"]) == ("NodePort", "Cluster")
    back = api.patch(f"{services}/types", {"spec": {"type": "ExternalName", "externalName": "bar.example.com"}})["spec"]
    assert (back["type"], back["externalName"]) == ("ExternalName", "bar.example.com")
    assert not back.get("clusterIP")
    assert not any(port.get("nodePort") for port in back.get("ports", ()))
    api.delete(f"{services}/types")


def test_session_affinity_changes(api: Rest, services: str) -> None:
    made = api.create(services, _service("sticky", sessionAffinity="ClientIP", ports=[{"port": 80}]))
    assert made["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    none = api.patch(f"{services}/sticky", {"spec": {"sessionAffinity": "None"}})["spec"]
    assert none["sessionAffinity"] == "None"
    assert "sessionAffinityConfig" not in none
    api.delete(services, labelSelector="test=sticky")
    assert api.missing(f"{services}/sticky")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"ports": []}, "spec.ports: Required value"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535"),
        ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name: Required value"),
        ({"type": "Magic", "ports": [{"port": 1}]}, 'spec.type: Unsupported value: "Magic"'),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
        ({"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}, "spec.ports[1]: Duplicate value: "),
    ],
)
def test_rules_of_services(api: Rest, services: str, spec: dict[str, Any], words: str) -> None:
    assert words in api.request("POST", services, _service("broken", **spec)).refused(422)


def test_the_life_of_a_node(api: Rest) -> None:
    nodes = "/api/v1/nodes"
    api.create(nodes, {"metadata": {"name": "e2e-fake-node"}, "status": {"phase": "Running"}})
    assert api.get(f"{nodes}/e2e-fake-node")["metadata"]["name"] == "e2e-fake-node"
    api.patch(f"{nodes}/e2e-fake-node", {"metadata": {"labels": {"e2e": "patched"}}}, STRATEGIC)
    assert api.names(nodes, labelSelector="e2e=patched") == ["e2e-fake-node"]

    def relabel(node: Document) -> None:
        node["metadata"]["labels"]["e2e"] = "updated"

    assert api.change(f"{nodes}/e2e-fake-node", relabel)["metadata"]["labels"]["e2e"] == "updated"
    api.delete(f"{nodes}/e2e-fake-node")
    assert api.missing(f"{nodes}/e2e-fake-node")
