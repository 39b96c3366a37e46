"""The official ``kubernetes`` client: typed objects, watches, errors, scale, server-side apply, the dynamic client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client as kubernetes
from kubernetes import config, dynamic, watch

from tests.integration.api.documents import configmap, deployment
from tests.support.apiserver import threaded_api
from tests.support.certificates import Certificates


@pytest.fixture
def official(database_url: str, certificates: Certificates) -> Iterator[Any]:
    """The client, on a server in a thread."""
    with threaded_api(database_url, certificates) as api:
        made: Any = config.new_client_from_config_dict(api.kubeconfig())  # type: ignore[no-untyped-call]  # the client has no types here
        yield made
        made.close()
        made.rest_client.pool_manager.clear()


def test_core_objects(official: Any) -> None:
    core: Any = kubernetes.CoreV1Api(official)
    core.create_namespace({"metadata": {"name": "a"}})
    assert {"a", "default"} <= {each.metadata.name for each in core.list_namespace().items}
    body = kubernetes.V1ConfigMap(metadata=kubernetes.V1ObjectMeta(name="c"), data={"k": "1"})
    made = core.create_namespaced_config_map("a", body)
    assert made.metadata.creation_timestamp.tzinfo is not None
    changed = core.patch_namespaced_config_map("c", "a", {"data": {"k": "2"}})
    assert changed.data == {"k": "2"}
    made.data = {"k": "3"}
    with pytest.raises(kubernetes.ApiException) as refused:
        core.replace_namespaced_config_map("c", "a", made)
    assert refused.value.status == 409
    seen: list[tuple[str, str]] = []
    watcher: Any = watch.Watch()  # type: ignore[no-untyped-call]  # the client has no types here
    for event in watcher.stream(core.list_namespaced_config_map, "a", timeout_seconds=5):
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "ADDED":
            core.delete_namespaced_config_map("c", "a")
        else:
            watcher.stop()
    assert seen == [("ADDED", "c"), ("DELETED", "c")]


def test_pages_and_selectors(official: Any) -> None:
    core: Any = kubernetes.CoreV1Api(official)
    for number in range(5):
        core.create_namespaced_config_map("default", configmap(f"c{number}", labels={"n": str(number % 2)}))
    first = core.list_namespaced_config_map("default", limit=2)
    assert first.metadata.remaining_item_count == 3
    rest = core.list_namespaced_config_map("default", limit=9, _continue=first.metadata._continue)
    assert [each.metadata.name for each in rest.items] == ["c2", "c3", "c4"]
    odd = core.list_namespaced_config_map("default", label_selector="n=1")
    assert [each.metadata.name for each in odd.items] == ["c1", "c3"]


def test_workloads(official: Any) -> None:
    apps: Any = kubernetes.AppsV1Api(official)
    apps.create_namespaced_deployment("default", deployment())
    scale = apps.read_namespaced_deployment_scale("d", "default")
    scale.spec.replicas = 3
    assert apps.replace_namespaced_deployment_scale("d", "default", scale).spec.replicas == 3
    read = apps.read_namespaced_deployment("d", "default")
    assert read.spec.replicas == 3
    assert read.spec.strategy.type == "RollingUpdate"
    gone = official.sanitize_for_serialization(apps.delete_namespaced_deployment("d", "default"))
    assert gone["status"] == "Success"


def test_the_dynamic_client_applies(official: Any) -> None:
    found: Any = dynamic.DynamicClient(official).resources.get(api_version="v1", kind="ConfigMap")  # type: ignore[no-untyped-call]  # nor here
    body: dict[str, Any] = configmap("c", {"k": "1"}, namespace="default")
    applied = found.server_side_apply(body=body, namespace="default", name="c", field_manager="me")
    assert applied.metadata.managedFields[0].manager == "me"
    assert found.get(name="c", namespace="default").data.k == "1"


def test_version_and_discovery(official: Any) -> None:
    assert kubernetes.VersionApi(official).get_code().minor == "36"
    groups = {each.name for each in kubernetes.ApisApi(official).get_api_versions().groups}
    assert {"apps", "coordination.k8s.io", "gitops.moorage.io"} <= groups
