"""Discovery documents, and that they follow the registry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moorage.api.discovery import document, etag, groups, storage_hash, version_priority
from moorage.resources.builtin import builtin_registry
from tests.unit.api.kinds import DEPLOYMENT, POD, REGISTRY


def found(path: str, aggregated: bool = False) -> Any:
    value = document(REGISTRY, path, aggregated)
    assert value is not None
    return value


def test_core_versions() -> None:
    assert found("/api")["versions"] == ["v1"]
    assert found("/api")["kind"] == "APIVersions"


def test_the_list_of_groups() -> None:
    listed = found("/apis")
    assert listed["kind"] == "APIGroupList"
    names = [group["name"] for group in listed["groups"]]
    assert names[:2] == ["apps", "events.k8s.io"]
    assert "" not in names
    apps = listed["groups"][0]
    assert apps["versions"] == [{"groupVersion": "apps/v1", "version": "v1"}]
    assert apps["preferredVersion"] == apps["versions"][0]


def test_one_group() -> None:
    assert found("/apis/apps")["kind"] == "APIGroup"
    assert found("/apis/apps")["name"] == "apps"


def resource(path: str, name: str) -> Any:
    return next(each for each in found(path)["resources"] if each["name"] == name)


def test_resources_of_a_group_version() -> None:
    listed = found("/apis/apps/v1")
    assert {key: listed[key] for key in ("kind", "apiVersion", "groupVersion")} == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "apps/v1",
    }
    assert resource("/apis/apps/v1", "deployments") == {
        "name": "deployments",
        "singularName": "deployment",
        "namespaced": True,
        "kind": "Deployment",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["deploy"],
        "categories": ["all"],
        "storageVersionHash": "8aSe+NMegvE=",
    }
    assert resource("/apis/apps/v1", "deployments/scale") == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
        "group": "autoscaling",
        "version": "v1",
    }


def test_core_resources() -> None:
    assert "apiVersion" not in found("/api/v1")
    assert resource("/api/v1", "pods")["shortNames"] == ["po"]
    assert resource("/api/v1", "pods/log")["verbs"] == ["get"]
    assert resource("/api/v1", "namespaces")["namespaced"] is False


@pytest.mark.parametrize(
    "path", ["/api/v2", "/apis/nowhere", "/apis/apps/v2", "/apis//v1", "/apis/apps/v1/deployments"]
)
def test_what_is_not_served(path: str) -> None:
    assert document(REGISTRY, path) is None


def test_hashes_are_kube_apiserver_s() -> None:
    assert storage_hash(POD) == "xPOwRZ+Yhw8="
    assert storage_hash(DEPLOYMENT) == "8aSe+NMegvE="


def test_aggregated() -> None:
    core = found("/api", aggregated=True)
    assert (core["kind"], core["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    assert len(core["items"]) == 1
    assert "name" not in core["items"][0]["metadata"]
    rest = found("/apis", aggregated=True)
    apps = next(item for item in rest["items"] if item["metadata"]["name"] == "apps")
    deployments = next(each for each in apps["versions"][0]["resources"] if each["resource"] == "deployments")
    assert deployments["responseKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert (deployments["scope"], deployments["singularResource"]) == ("Namespaced", "deployment")
    assert [each["subresource"] for each in deployments["subresources"]] == ["scale", "status"]
    assert deployments["subresources"][0]["responseKind"]["kind"] == "Scale"
    assert apps["versions"][0]["freshness"] == "Current"
    assert document(REGISTRY, "/apis", True, "v2beta1") != rest


def test_versions_are_ordered_as_kubernetes_orders_them() -> None:
    versions = ["v1alpha1", "v10", "v2", "foo1", "v1beta2", "v1beta10", "v1", "v11alpha2", "foo10"]
    assert sorted(versions, key=version_priority, reverse=True) == [
        "v10",
        "v2",
        "v1",
        "v1beta10",
        "v1beta2",
        "v11alpha2",
        "v1alpha1",
        "foo10",
        "foo1",
    ]


def test_documents_follow_the_registry() -> None:
    registry = builtin_registry()
    before = document(registry, "/apis", True)
    assert before is not None
    custom = replace(DEPLOYMENT, group="example.com", version="v1alpha1", kind="Boat", plural="boats", singular="boat")
    registry.add(custom)
    after = document(registry, "/apis", True)
    assert after is not None
    assert etag(after) != etag(before)
    assert "example.com" in groups(registry)
    assert document(registry, "/apis/example.com/v1alpha1") is not None
    registry.remove(custom)
    assert document(registry, "/apis/example.com/v1alpha1") is None


def test_etags_are_quoted_and_stable() -> None:
    assert etag(found("/api")) == etag(found("/api"))
    assert etag(found("/api")).startswith('"')
