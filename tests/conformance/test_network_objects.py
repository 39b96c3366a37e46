"""The operations that the API must offer on ServiceCIDRs, EndpointSlices, Ingresses, IngressClasses and NetworkPolicies."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.support.rest import Rest
from tests.support.wait import until

LABELS = {"special": "yes"}
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
RULE = {"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}


class Kind(NamedTuple):
    """A kind, its group's path, and what an object of it needs. ``status`` is a status that may be set."""

    group: str
    plural: str
    body: dict[str, Any]
    namespaced: bool = True
    status: dict[str, Any] | None = None


CONDITION = {
    "type": "Checked",
    "status": "True",
    "reason": "ATest",
    "message": "set by a test",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
KINDS = [
    Kind(
        "networking.k8s.io",
        "servicecidrs",
        {"spec": {"cidrs": ["198.51.100.0/24"]}},
        namespaced=False,
        status={"conditions": [CONDITION]},
    ),
    Kind("discovery.k8s.io", "endpointslices", {"addressType": "IPv4", "endpoints": [], "ports": []}),
    Kind(
        "networking.k8s.io",
        "ingresses",
        {"spec": {"rules": [RULE]}},
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.4"}]}},
    ),
    Kind("networking.k8s.io", "ingressclasses", {"spec": {"controller": "example.com/one"}}, namespaced=False),
    Kind("networking.k8s.io", "networkpolicies", {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.plural for kind in KINDS])
async def test_operations_on_network_objects(api: Rest, space: str, kind: Kind) -> None:
    groups = {group["name"] for group in api.get("/apis")["groups"]}
    assert kind.group in groups
    assert kind.plural in {each["name"] for each in api.get(f"/apis/{kind.group}/v1")["resources"]}
    inside = f"/namespaces/{space}" if kind.namespaced else ""
    path = f"/apis/{kind.group}/v1{inside}/{kind.plural}"
    names = [f"{space}-{number}" for number in range(3)]
    selector = f"space={space}"
    labels = {**LABELS, "space": space}
    made = [api.create(path, {"metadata": {"name": name, "labels": labels}, **kind.body}) for name in names]
    own = f"{path}/{names[0]}"
    assert api.get(own)["metadata"]["uid"] == made[0]["metadata"]["uid"]
    assert api.names(path, labelSelector=selector) == names
    if kind.namespaced:
        assert names[0] in api.names(f"/apis/{kind.group}/v1/{kind.plural}", labelSelector=selector)
    version = made[-1]["metadata"]["resourceVersion"]
    with api.watch(path, labelSelector=selector, resourceVersion=version) as events:
        patched = api.patch(own, {"metadata": {"annotations": {"patched": "true"}}})
        assert patched["metadata"]["annotations"]["patched"] == "true"

        def update(document: dict[str, Any]) -> None:
            document["metadata"]["annotations"]["updated"] = "true"

        api.change(own, update)
        assert _annotations(api.get(own))["updated"] == "true"
        # A controller may have written meanwhile (a ServiceCIDR is told to be ready).
        seen = next(each for event, each in events if event == "MODIFIED" and "updated" in _annotations(each))
        assert _annotations(seen)["updated"] == "true"
        api.delete(own)
        assert next(event for event, each in events if event == "DELETED" or "deletionTimestamp" in each["metadata"])
    if kind.status is not None:
        other = f"{path}/{names[1]}"
        assert api.patch(f"{other}/status", {"status": kind.status})["status"] == kind.status
        noted = {"metadata": {"annotations": {"noted": "true"}}}
        api.patch(other, noted)
        assert _annotations(api.get(f"{other}/status"))["noted"] == "true"

        def again(read: dict[str, Any]) -> None:
            read["status"] = kind.status

        api.change(f"{other}/status", again)
    api.delete(path, labelSelector=selector)
    await until(lambda: api.names(path, labelSelector=selector) == [])


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    return document["metadata"].get("annotations") or {}
