"""Chunks of lists, tables, discovery in both forms, field validation, the server's version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rest import JSON_PATCH, MERGE_PATCH, STRATEGIC, Rest

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.fixture(scope="module")
def many(api: Rest, space: str) -> str:
    """The path of a collection of 45 ConfigMaps."""
    path = f"/api/v1/namespaces/{space}/configmaps"
    for number in range(45):
        api.create(path, {"metadata": {"name": f"chunk-{number:03}", "labels": {"set": "chunks"}}})
    return path


def test_a_list_comes_in_chunks_of_one_revision(api: Rest, many: str) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 17}
    revision = ""
    total = len(api.get(many)["items"])
    while True:
        page = api.get(many, **query)
        metadata = page["metadata"]
        revision = revision or metadata["resourceVersion"]
        assert metadata["resourceVersion"] == revision
        assert len(page["items"]) <= 17
        seen += [item["metadata"]["name"] for item in page["items"]]
        if not metadata.get("continue"):
            assert "remainingItemCount" not in metadata
            break
        assert metadata["remainingItemCount"] == total - len(seen)
        query["continue"] = metadata["continue"]
    assert len(seen) == len(set(seen)) == total
    assert [name for name in seen if name.startswith("chunk-")] == [f"chunk-{number:03}" for number in range(45)]


def test_a_table_of_a_chunk_tells_how_to_go_on(api: Rest, many: str) -> None:
    first = api.get(many, accept=TABLE, limit=2)
    assert (first["kind"], first["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert first["metadata"]["continue"]
    assert len(first["rows"]) == 2
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert all(len(row["cells"]) == 3 for row in first["rows"])
    assert first["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize("resource", ["api/v1/pods", "api/v1/nodes", "api/v1/services", "apis/apps/v1/deployments"])
def test_columns_are_described(api: Rest, resource: str) -> None:
    table = api.get(f"/{resource}", accept=TABLE)
    columns = table["columnDefinitions"]
    assert columns[0]["name"] == "Name"
    assert columns[0]["format"] == "name"
    for column in columns:
        assert set(column) == {"name", "type", "format", "description", "priority"}
        assert column["description"]


def test_a_form_that_nobody_can_give_is_406(api: Rest) -> None:
    for accept in ("application/json;as=Table;g=meta.k8s.io;v=v0alpha", "text/csv"):
        answer = api.request("GET", "/api/v1/namespaces", accept=accept)
        answer.refused(406)
        assert answer.document["reason"] == "NotAcceptable"
    fallback = api.request("GET", "/api/v1/namespaces", accept=f"{TABLE}alpha,application/json")
    assert fallback.ok()["kind"] == "NamespaceList"
    refused = api.request("POST", "/apis/moorage.io/v1/transactions", {"spec": {}}, accept="text/csv")
    assert refused.code in {406, 422, 400}


def test_only_metadata(api: Rest, many: str) -> None:
    form = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    partial = api.get(many, accept=form, limit=1)
    assert partial["kind"] == "PartialObjectMetadataList"
    assert set(partial["items"][0]) == {"kind", "apiVersion", "metadata"}
    one = api.get(f"{many}/chunk-000", accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    assert one["kind"] == "PartialObjectMetadata"
    assert one["metadata"]["name"] == "chunk-000"


def test_aggregated_discovery_names_everything_that_is_served(api: Rest) -> None:
    whole: dict[str, dict[str, Any]] = {}
    for path in ("/api", "/apis"):
        answer = api.request("GET", path, accept=f"{AGGREGATED},application/json")
        assert "as=APIGroupDiscoveryList" in answer.headers["content-type"]
        document = answer.ok()
        assert (document["kind"], document["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
        for group in document["items"]:
            for version in group["versions"]:
                key = f"{group['metadata'].get('name', '')}/{version['version']}"
                assert version["freshness"] == "Current"
                whole[key] = {each["resource"]: each for each in version["resources"]}
    assert {"pods", "services", "configmaps", "secrets", "namespaces", "nodes", "events", "serviceaccounts"} <= set(
        whole["/v1"]
    )
    assert {"deployments", "replicasets"} <= set(whole["apps/v1"])
    assert "leases" in whole["coordination.k8s.io/v1"]
    assert "events" in whole["events.k8s.io/v1"]
    pod = whole["/v1"]["pods"]
    assert pod["responseKind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert (pod["scope"], pod["singularResource"], pod["shortNames"]) == ("Namespaced", "pod", ["po"])
    assert {"status", "log", "binding"} <= {each["subresource"] for each in pod["subresources"]}
    scale = next(each for each in whole["apps/v1"]["deployments"]["subresources"] if each["subresource"] == "scale")
    assert scale["responseKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}


def test_each_group_has_a_preferred_version_and_its_resources(api: Rest) -> None:
    groups = api.get("/apis")
    assert groups["kind"] == "APIGroupList"
    for group in groups["groups"]:
        alone = api.get(f"/apis/{group['name']}")
        assert alone["kind"] == "APIGroup"
        preferred = alone["preferredVersion"]
        assert preferred == group["preferredVersion"]
        assert preferred in alone["versions"]
        for version in alone["versions"]:
            listed = api.get(f"/apis/{version['groupVersion']}")
            assert listed["kind"] == "APIResourceList"
            assert listed["groupVersion"] == version["groupVersion"]
            assert listed["resources"]
            for resource in listed["resources"]:
                assert resource["name"]
                assert resource["kind"]
                assert resource["verbs"]
    assert api.get("/api")["versions"] == ["v1"]
    assert api.get("/api/v1")["groupVersion"] == "v1"


def test_the_version_is_made_of_integers(api: Rest) -> None:
    version = api.get("/version")
    assert version["major"].isdigit()
    assert version["minor"].isdigit()
    for name in ("gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"):
        assert name in version


DUPLICATE = """{"apiVersion": "apps/v1", "kind": "Deployment",
 "metadata": {"name": "NAME", "labels": {"app": "nginx"}EXTRA},
 "spec": {UNKNOWN "replicas": 0, "replicas": 0, "selector": {"matchLabels": {"app": "nginx"}},
  "template": {"metadata": {"labels": {"app": "nginx"}}, "spec": {"containers": [{"name": "a", "image": "b",
   "unknownNested": "val1", "imagePullPolicy": "Always", "imagePullPolicy": "Never"}]}}}}"""
CLEAN = (
    DUPLICATE.replace('"replicas": 0, "replicas": 0', '"replicas": 0')
    .replace('"unknownNested": "val1", "imagePullPolicy": "Always", ', "")
    .replace("UNKNOWN", "")
    .replace("EXTRA", "")
)


def _mistaken(name: str) -> str:
    return (
        DUPLICATE.replace("NAME", name)
        .replace("UNKNOWN", '"unknown1": "val1", "unknown2": "val1",')
        .replace("EXTRA", "")
    )


MISTAKES = (
    'unknown field "spec.unknown1"',
    'unknown field "spec.unknown2"',
    'unknown field "spec.template.spec.containers[0].unknownNested"',
    'duplicate field "spec.replicas"',
    'duplicate field "spec.template.spec.containers[0].imagePullPolicy"',
)


def test_strict_create_refuses_unknown_and_duplicate_fields(api: Rest, space: str) -> None:
    path = f"/apis/apps/v1/namespaces/{space}/deployments"
    message = api.request("POST", path, _mistaken("strict"), fieldValidation="Strict").refused(400)
    assert "strict decoding error" in message
    for mistake in MISTAKES:
        assert mistake in message
    assert api.missing(f"{path}/strict")


def test_warn_create_warns_and_drops(api: Rest, space: str) -> None:
    path = f"/apis/apps/v1/namespaces/{space}/deployments"
    for query in ({"fieldValidation": "Warn"}, {}):
        answer = api.request("POST", path, _mistaken("warned"), dryRun="All", **query)
        assert "unknown1" not in answer.ok()["spec"]
        assert answer.document["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Never"
        for mistake in MISTAKES:
            assert mistake.replace('"', '\\"') in answer.warnings
    silent = api.request("POST", path, _mistaken("silent"), dryRun="All", fieldValidation="Ignore")
    silent.ok()
    assert not silent.warnings


def test_updates_and_patches_are_checked_too(api: Rest, space: str) -> None:
    path = f"/apis/apps/v1/namespaces/{space}/deployments"
    api.create(path, CLEAN.replace("NAME", "checked"))  # type: ignore[arg-type] # text is sent as it is
    one = f"{path}/checked"
    message = api.request("PUT", one, _mistaken("checked"), fieldValidation="Strict").refused(400)
    for mistake in MISTAKES:
        assert mistake in message
    broken = '{"spec": {"unknown1": 1, "replicas": 0, "replicas": 0}}'
    for content in (MERGE_PATCH, STRATEGIC):
        message = api.request("PATCH", one, broken, content, fieldValidation="Strict").refused(422)
        assert 'unknown field "spec.unknown1"' in message
        assert 'duplicate field "spec.replicas"' in message
        answer = api.request("PATCH", one, broken, content, fieldValidation="Warn")
        assert answer.code == 200
        assert 'unknown field \\"spec.unknown1\\"' in answer.warnings
        assert 'duplicate field \\"spec.replicas\\"' in answer.warnings
    operations = '[{"op": "add", "path": "/spec/unknown1", "value": 1, "path": "/spec/unknown1"}]'
    message = api.request("PATCH", one, operations, JSON_PATCH, fieldValidation="Strict").refused(422)
    assert 'unknown field "spec.unknown1"' in message
    assert 'json patch duplicate field "[0].path"' in message


def test_an_apply_is_always_strict_about_types(api: Rest, space: str) -> None:
    path = f"/apis/apps/v1/namespaces/{space}/deployments/applied"
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "applied"}, "spec": {"unknown1": 1}}
    for strictness in ("Strict", "Ignore"):
        message = api.apply(path, document, "me", fieldValidation=strictness).refused(400)
        assert ".spec.unknown1: field not declared in schema" in message


def test_unknown_metadata(api: Rest, space: str) -> None:
    path = f"/apis/apps/v1/namespaces/{space}/deployments"
    body = CLEAN.replace("NAME", "meta").replace(
        '"labels": {"app": "nginx"}}', '"labels": {"app": "nginx"}, "unknownMeta": "x"}', 1
    )
    message = api.request("POST", path, body, fieldValidation="Strict").refused(400)
    assert 'unknown field "metadata.unknownMeta"' in message
    answer = api.request("POST", path, body, dryRun="All")
    assert "unknownMeta" not in answer.ok()["metadata"]
    assert 'unknown field \\"metadata.unknownMeta\\"' in answer.warnings


def test_yaml_bodies_are_checked_for_duplicates(api: Rest, space: str) -> None:
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: twice\ndata:\n  a: '1'\n  a: '2'\n"
    path = f"/api/v1/namespaces/{space}/configmaps"
    message = api.request("POST", path, body, "application/yaml", fieldValidation="Strict").refused(400)
    assert 'key "a" already set in map' in message
    assert api.missing(f"{path}/twice")
