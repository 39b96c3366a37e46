"""The Python clients that people use do their work: the official one, kr8s and lightkube; read, write, watch, apply, logs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kr8s
import kubernetes
import lightkube
import pytest
from kr8s.asyncio.objects import ConfigMap as KrConfigMap
from kr8s.asyncio.objects import Deployment as KrDeployment
from kr8s.asyncio.objects import Pod as KrPod
from kubernetes.client.exceptions import ApiException
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment as LkDeployment
from lightkube.resources.core_v1 import ConfigMap as LkConfigMap
from lightkube.resources.core_v1 import Pod as LkPod
from lightkube.types import PatchType

from tests.conformance.workloads import container, deployment, nowhere, pod
from tests.support.installation import Installation
from tests.support.wait import until

pytestmark = pytest.mark.docker


def _untyped(made: Any) -> Any:
    """What a library without types offers."""
    return made


@pytest.fixture(scope="module")
def kubeconfig(installation: Installation) -> Path:
    return installation.data_dir / "kubeconfig"


@pytest.fixture(autouse=True)
def directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands between a client and the installation."""
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def official(kubeconfig: Path) -> Iterator[kubernetes.client.ApiClient]:
    configuration = kubernetes.client.Configuration()
    _untyped(kubernetes.config.load_kube_config)(str(kubeconfig), client_configuration=configuration)
    with kubernetes.client.ApiClient(configuration) as client:
        yield client
        client.rest_client.pool_manager.clear()


async def test_the_official_client(official: kubernetes.client.ApiClient, space: str, image: str) -> None:
    core: Any = kubernetes.client.CoreV1Api(official)
    apps: Any = kubernetes.client.AppsV1Api(official)
    core.create_namespaced_config_map(space, {"metadata": {"name": "official"}, "data": {"a": "1"}})
    read = core.read_namespaced_config_map("official", space)
    assert read.data == {"a": "1"}
    read.data["b"] = "2"
    assert core.replace_namespaced_config_map("official", space, read).data == {"a": "1", "b": "2"}
    assert core.patch_namespaced_config_map("official", space, {"data": {"a": None}}).data == {"b": "2"}
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_config_map("official", space, read)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    watch = _untyped(kubernetes.watch.Watch)()
    seen = []
    for event in watch.stream(core.list_namespaced_config_map, space, field_selector="metadata.name=official"):
        seen.append((event["type"], event["object"].data))
        if event["type"] == "ADDED":
            core.patch_namespaced_config_map("official", space, {"data": {"c": "3"}})
        else:
            watch.stop()
    assert seen == [("ADDED", {"b": "2"}), ("MODIFIED", {"b": "2", "c": "3"})]
    core.create_namespaced_pod(space, pod("official", container(image, "echo hello")))
    await until(lambda: core.read_namespaced_pod("official", space).status.phase == "Succeeded", timeout=60)
    assert core.read_namespaced_pod_log("official", space) == "hello\n"
    apps.create_namespaced_deployment(space, deployment("official", nowhere()))
    scale = apps.patch_namespaced_deployment_scale("official", space, {"spec": {"replicas": 2}})
    assert scale.spec.replicas == 2
    apps.delete_namespaced_deployment("official", space)
    core.delete_collection_namespaced_pod(space, label_selector="name=official", grace_period_seconds=0)
    assert kubernetes.client.VersionApi(official).get_code().major == "1"
    assert core.read_node("test-node").status.node_info.kubelet_version


def test_the_official_dynamic_client(official: kubernetes.client.ApiClient, space: str) -> None:
    dynamic = _untyped(kubernetes.dynamic.DynamicClient)(official)
    deployments = dynamic.resources.get(api_version="apps/v1", kind="Deployment")
    body: dict[str, Any] = deployment("dynamic", nowhere(), replicas=0)
    made = deployments.server_side_apply(body=body, namespace=space, field_manager="dynamic")
    assert made.spec.replicas == 0
    assert made.metadata.managedFields[0].manager == "dynamic"
    deployments.delete(name="dynamic", namespace=space)
    assert not [each for each in deployments.get(namespace=space).items if each.metadata.name == "dynamic"]


# This kr8s knows of versions up to 1.35 and warns of the next.
@pytest.mark.filterwarnings("ignore:Kubernetes version v1.36")
async def test_kr8s(kubeconfig: Path, space: str, image: str) -> None:
    api: Any = await kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace=space)
    assert (await api.version())["major"] == "1"
    made = await KrConfigMap({"metadata": {"name": "kr8s", "namespace": space}, "data": {"a": "1"}}, api=api)
    await made.create()
    await made.patch({"data": {"b": "2"}})
    assert made.data == {"a": "1", "b": "2"}
    await made.label({"kr8s": "yes"})
    assert [each.name async for each in api.get("configmaps", label_selector="kr8s=yes")] == ["kr8s"]

    async def changes() -> list[str]:
        seen = []
        async for type_, each in api.watch("configmaps", label_selector="kr8s=yes"):
            seen.append(type_)
            if type_ == "ADDED":
                await each.delete()
            if type_ == "DELETED":
                break
        return seen

    assert await asyncio.wait_for(changes(), 30) == ["ADDED", "DELETED"]
    talker = await KrPod(pod("kr8s", container(image, "echo from kr8s")), namespace=space, api=api)
    await talker.create()
    await talker.wait("jsonpath='{.status.phase}'=Succeeded", timeout=60)
    assert [line async for line in talker.logs()] == ["from kr8s"]
    scaled = await KrDeployment(deployment("kr8s", nowhere()), namespace=space, api=api)
    await scaled.create()
    await scaled.scale(0)
    assert scaled.replicas == 0
    await scaled.delete()
    await talker.delete()


async def test_lightkube(kubeconfig: Path, space: str, image: str) -> None:
    config = lightkube.KubeConfig.from_file(str(kubeconfig))
    client: Any = lightkube.Client(config=config, namespace=space, field_manager="lightkube", trust_env=False)
    client.create(LkConfigMap(metadata=ObjectMeta(name="lk"), data={"a": "1"}))
    assert client.get(LkConfigMap, "lk").data == {"a": "1"}
    client.patch(LkConfigMap, "lk", {"data": {"b": "2"}}, patch_type=PatchType.MERGE)
    applied = client.apply(LkConfigMap(metadata=ObjectMeta(name="lk"), data={"a": "1", "c": "3"}), force=True)
    assert applied.data == {"a": "1", "b": "2", "c": "3"}
    for type_, each in client.watch(LkConfigMap, fields={"metadata.name": "lk"}):
        assert (type_, each.data) == ("ADDED", {"a": "1", "b": "2", "c": "3"})
        break
    assert [each.metadata.name for each in client.list(LkConfigMap, chunk_size=1) if each.metadata.name == "lk"] == [
        "lk"
    ]
    client.create(LkPod.from_dict(pod("lightkube", container(image, "echo from lightkube"))))
    await until(lambda: client.get(LkPod, "lightkube").status.phase == "Succeeded", timeout=60)
    assert list(client.log("lightkube")) == ["from lightkube\n"]
    client.create(LkDeployment.from_dict(deployment("lightkube", nowhere(), replicas=2)))
    scale = client.get(LkDeployment.Scale, "lightkube")
    assert scale.spec.replicas == 2
    client.delete(LkDeployment, "lightkube")
    client.delete(LkConfigMap, "lk")
    with pytest.raises(lightkube.ApiError) as missing:
        client.get(LkConfigMap, "lk")
    assert missing.value.status.code == 404
    client._client._client.close()
