"""Namespaces: patch, update, status, and how they end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rest import Rest
from tests.support.wait import until

NAMESPACES = "/api/v1/namespaces"


@pytest.fixture(scope="module")
def own(api: Rest) -> Iterator[str]:
    """The path of a namespace."""
    made = api.create(NAMESPACES, {"metadata": {"generateName": "conform-ns-"}})
    path = f"{NAMESPACES}/{made['metadata']['name']}"
    yield path
    api.delete(path)


def test_a_new_namespace_is_active_and_named_by_a_label(api: Rest, own: str) -> None:
    made = api.get(own)
    name = made["metadata"]["name"]
    assert made["status"] == {"phase": "Active"}
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": name}
    assert api.names(
        NAMESPACES, fieldSelector="status.phase=Active", labelSelector=f"kubernetes.io/metadata.name={name}"
    )


def test_patch_and_update(api: Rest, own: str) -> None:
    assert api.patch(own, {"metadata": {"labels": {"tested": "yes"}}})["metadata"]["labels"]["tested"] == "yes"
    read = api.get(own)
    read["metadata"]["labels"]["tested"] = "again"
    assert api.replace(own, read)["metadata"]["labels"]["tested"] == "again"
    assert api.get(own)["metadata"]["labels"]["tested"] == "again"


def test_status(api: Rest, own: str) -> None:
    condition = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "set by a test"}
    patched = api.patch(f"{own}/status", {"status": {"conditions": [condition]}, "metadata": {"labels": {"x": "y"}}})
    assert patched["status"]["conditions"][0]["message"] == "set by a test"
    assert patched["status"]["phase"] == "Active"
    read = api.get(f"{own}/status")
    read["status"]["conditions"].append({**condition, "type": "StatusUpdate"})
    updated = api.replace(f"{own}/status", read)
    assert [each["type"] for each in updated["status"]["conditions"]] == ["StatusPatch", "StatusUpdate"]


async def test_everything_in_a_namespace_goes_with_it(api: Rest) -> None:
    name = api.create(NAMESPACES, {"metadata": {"generateName": "conform-ns-"}})["metadata"]["name"]
    inside = f"{NAMESPACES}/{name}"
    pod = {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "none.local/x:1"}]}
    api.create(f"{inside}/pods", {"metadata": {"name": "pod"}, "spec": pod})
    api.create(f"{inside}/services", {"metadata": {"name": "svc"}, "spec": {"ports": [{"port": 80}]}})
    api.create(f"{inside}/configmaps", {"metadata": {"name": "cm"}})
    await until(lambda: api.names(f"{inside}/serviceaccounts") == ["default"])
    going = api.delete(inside)
    assert going["status"]["phase"] == "Terminating"
    await until(lambda: api.missing(inside))
    api.create(NAMESPACES, {"metadata": {"name": name}})
    for resource in ("pods", "services", "configmaps"):
        assert not [each for each in api.names(f"{inside}/{resource}") if each != "kube-root-ca.crt"]
    api.delete(inside)


async def test_pods_go_first_and_nothing_new_comes(api: Rest) -> None:
    name = api.create(NAMESPACES, {"metadata": {"generateName": "conform-ns-"}})["metadata"]["name"]
    inside = f"{NAMESPACES}/{name}"
    pod = {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "none.local/x:1"}]}
    metadata = {"name": "pod", "finalizers": ["example.com/held"]}
    api.create(f"{inside}/pods", {"metadata": metadata, "spec": pod})
    api.create(f"{inside}/configmaps", {"metadata": {"name": "cm"}})
    api.delete(inside)

    def remaining() -> dict[str, str]:
        conditions = api.get(inside)["status"].get("conditions") or []
        found = {each["type"]: each["message"] for each in conditions if each["status"] == "True"}
        assert "NamespaceContentRemaining" in found, conditions
        return found

    found = await until(remaining)
    assert "pods. has 1 resource instances" in found["NamespaceContentRemaining"]
    assert "example.com/held in 1 resource instances" in found["NamespaceFinalizersRemaining"]
    assert api.get(f"{inside}/configmaps/cm"), "pods go before anything else"
    refused = api.request("POST", f"{inside}/configmaps", {"metadata": {"name": "late"}})
    assert f"unable to create new content in namespace {name} because it is being terminated" in refused.refused(403)
    assert refused.document["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    api.patch(f"{inside}/pods/pod", {"metadata": {"finalizers": None}})
    await until(lambda: api.missing(inside))


def test_the_first_namespaces_are_there(api: Rest) -> None:
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= set(api.names(NAMESPACES))
    assert "this namespace may not be deleted" in api.request("DELETE", f"{NAMESPACES}/default").refused(403)
