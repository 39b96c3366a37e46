"""LimitRanges: what is not said is filled in, what is out of bounds is refused."""

from __future__ import annotations

import pytest

from tests.conformance.workloads import nowhere, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import STRATEGIC, Document, Rest

pytestmark = pytest.mark.docker

BOUNDS = {
    "type": "Container",
    "min": {"cpu": "50m", "memory": "100Mi", "ephemeral-storage": "100Gi"},
    "max": {"cpu": "500m", "memory": "500Mi", "ephemeral-storage": "500Gi"},
    "default": {"cpu": "500m", "memory": "500Mi", "ephemeral-storage": "500Gi"},
    "defaultRequest": {"cpu": "100m", "memory": "200Mi", "ephemeral-storage": "200Gi"},
}


def asking(name: str, requests: dict[str, str], limits: dict[str, str]) -> Document:
    document = pod(name, **nowhere())
    document["spec"]["containers"][0]["resources"] = {"requests": requests, "limits": limits}
    return document


@pytest.fixture
def core(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}"


async def test_defaults_and_bounds(api: Rest, core: str) -> None:
    ranges, pods = f"{core}/limitranges", f"{core}/pods"
    with api.watch(ranges) as events:
        made = api.create(ranges, {"metadata": {"name": "bounds"}, "spec": {"limits": [BOUNDS]}})
        assert next(events)[0] == "ADDED"
    assert made["spec"]["limits"] == [BOUNDS]
    bare = api.create(pods, pod("bare", **nowhere()))
    assert bare["spec"]["containers"][0]["resources"] == {
        "requests": BOUNDS["defaultRequest"],
        "limits": BOUNDS["default"],
    }
    partial = api.create(pods, asking("partial", {"cpu": "150m", "memory": "150Mi"}, {"cpu": "300m"}))
    assert partial["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "150m", "memory": "150Mi", "ephemeral-storage": "200Gi"},
        "limits": {"cpu": "300m", "memory": "500Mi", "ephemeral-storage": "500Gi"},
    }
    small = api.request("POST", pods, asking("small", {"cpu": "10m", "memory": "50Mi"}, {})).refused(403)
    assert small == (
        'pods "small" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m, '
        "minimum memory usage per Container is 100Mi, but request is 50Mi]"
    )
    large = api.request("POST", pods, asking("large", {}, {"cpu": "600m"})).refused(403)
    assert "maximum cpu usage per Container is 500m, but limit is 600m" in large


async def test_a_range_changes_and_goes(api: Rest, core: str) -> None:
    ranges, pods = f"{core}/limitranges", f"{core}/pods"
    api.create(ranges, {"metadata": {"name": "bounds", "labels": {"a": "b"}}, "spec": {"limits": [BOUNDS]}})
    read = api.get(f"{ranges}/bounds")
    read["spec"]["limits"][0]["min"] = {"cpu": "9m", "memory": "49Mi", "ephemeral-storage": "49Gi"}
    api.replace(f"{ranges}/bounds", read)
    api.create(pods, asking("small", {"cpu": "10m", "memory": "50Mi", "ephemeral-storage": "50Gi"}, {}))
    patched = api.patch(f"{ranges}/bounds", {"metadata": {"labels": {"patched": "yes"}}}, STRATEGIC)
    assert patched["metadata"]["labels"] == {"a": "b", "patched": "yes"}
    assert api.names("/api/v1/limitranges", labelSelector="patched=yes") == ["bounds"]
    api.delete(ranges, labelSelector="patched=yes")
    assert api.names(ranges) == []
    free = api.create(pods, asking("free", {"cpu": "600m"}, {}))
    assert free["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "600m"}}


async def test_claims_are_bounded(api: Rest, core: str) -> None:
    bounds = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}
    api.create(f"{core}/limitranges", {"metadata": {"name": "storage"}, "spec": {"limits": [bounds]}})
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "5Gi"}}}
    refused = api.request("POST", f"{core}/persistentvolumeclaims", {"metadata": {"name": "x"}, "spec": spec}).refused(
        403
    )
    assert "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi" in refused


async def test_kubectl_describes_a_range(api: Rest, core: str, kubectl: Kubectl) -> None:
    api.create(f"{core}/limitranges", {"metadata": {"name": "bounds"}, "spec": {"limits": [BOUNDS]}})
    assert kubectl("get", "limits").splitlines()[0].split() == ["NAME", "CREATED", "AT"]
    described = [line.split() for line in kubectl("describe", "limits", "bounds").splitlines()]
    assert ["Container", "cpu", "50m", "500m", "100m", "500m", "-"] in described
