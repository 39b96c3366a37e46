"""lightkube: typed resources, patches, apply, watches, waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace
from lightkube.types import PatchType

from tests.integration.api.documents import deployment
from tests.support.apiserver import threaded_api
from tests.support.certificates import Certificates


@pytest.fixture
def light(database_url: str, certificates: Certificates) -> Iterator[Any]:
    """The client, on a server in a thread."""
    with threaded_api(database_url, certificates) as api:
        made: Any = Client(config=KubeConfig.from_dict(api.kubeconfig()), field_manager="light")
        yield made
        made._client._client.close()


def test_objects(light: Any) -> None:
    light.create(Namespace(metadata=ObjectMeta(name="a")))
    body = ConfigMap(metadata=ObjectMeta(name="c", namespace="a", labels={"x": "1"}), data={"k": "1"})
    made = light.create(body)
    assert made.metadata is not None
    assert light.get(ConfigMap, "c", namespace="a").data == {"k": "1"}
    patched = light.patch(ConfigMap, "c", {"data": {"k": "2"}}, namespace="a", patch_type=PatchType.MERGE)
    assert patched.data == {"k": "2"}
    assert [
        each.metadata.name for each in light.list(ConfigMap, namespace="*", labels={"x": "1"}) if each.metadata
    ] == ["c"]
    with pytest.raises(ApiError) as refused:
        light.create(body)
    assert refused.value.status.code == 409
    for kind, seen in light.watch(ConfigMap, namespace="a"):
        assert (kind, seen.metadata.name if seen.metadata else "") == ("ADDED", "c")
        break
    light.delete(ConfigMap, "c", namespace="a")


def test_apply_and_scale(light: Any) -> None:
    body = Deployment.from_dict({**deployment(), "metadata": {"name": "d", "namespace": "default"}})
    assert light.apply(body).spec is not None
    scaled = light.replace(
        Deployment.Scale(metadata=ObjectMeta(name="d", namespace="default"), spec=ScaleSpec(replicas=4))
    )
    assert scaled.spec is not None
    assert scaled.spec.replicas == 4
    assert light.get(Deployment, "d", namespace="default").spec.replicas == 4
