"""Which pods a node may create: Kubernetes' NodeRestriction, and where this platform is stricter."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from moorage.api.contracts import AdmissionRequest, Identity
from moorage.resources.core.pods.declaration import POD
from moorage.resources.core.pods.pod_rules import pod_errors
from moorage.resources.core.pods.prepare import MIRROR, prepare_create
from moorage.resources.core.pods.update_rules import update_errors
from moorage.resources.kind import Kind
from moorage_tenants import names
from moorage_tenants.authorisation.node_restriction import NodeRestriction
from tests.unit.tenants.caches import MemoryCache

OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n1", "controller": True}


def mirror(metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod that n1 may create."""
    own = {"name": "web-n1", "namespace": "free", "annotations": {MIRROR: "hash"}, "ownerReferences": [OWNER]}
    containers = [{"name": "c", "image": "i"}]
    return {"metadata": {**own, **(metadata or {})}, "spec": {"nodeName": "n1", "containers": containers, **spec}}


def projected(source: dict[str, Any]) -> dict[str, Any]:
    """A volume of one source."""
    return {"name": "v", "projected": {"sources": [source]}}


class Town:
    """The node n1, and a namespace of nobody's and one of a tenant's."""

    def __init__(self) -> None:
        self.nodes, self.namespaces = MemoryCache("nodes"), MemoryCache("namespaces")
        self.nodes.put("", "n1", metadata={"name": "n1"})
        self.namespaces.put("", "free", metadata={"name": "free", "uid": "f"})
        labels = {"tenancy.moorage.io/tenant": "acme"}
        self.namespaces.put("", "acme-web", metadata={"name": "acme-web", "uid": "a", "labels": labels})

    async def get(self, kind: Kind, namespace: str, name: str) -> Any:
        """As a view's."""
        return {"nodes": self.nodes, "namespaces": self.namespaces}[kind.plural].get(namespace, name)


async def refusal(pod: dict[str, Any], user: str = "system:node:n1", group: str = names.NODES) -> str:
    """What the node is told; "" where the pod is let in."""
    where = pod["metadata"].get("namespace", "free")
    identity = Identity(user, frozenset({group}))
    request = AdmissionRequest(
        identity,
        "CREATE",
        POD,
        "",
        where,
        pod["metadata"]["name"],
        pod,
        None,
        False,
        view=Town(),  # type: ignore[arg-type]  # the one method that is asked is here
    )
    return "".join(error.message for error in await NodeRestriction().validate(request))


async def test_a_node_shows_what_it_runs_by_itself() -> None:
    assert await refusal(mirror()) == ""
    assert await refusal({"metadata": {"name": "any"}, "spec": {}}, "ann", "people") == ""


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"annotations": {}}, f'pod does not have "{MIRROR}" annotation, node "n1" can only create mirror pods'),
        ({"ownerReferences": []}, "can only create pods with an owner reference set to itself"),
        ({"ownerReferences": [OWNER, OWNER]}, "can only create pods with a single owner reference set to itself"),
        ({"ownerReferences": [{**OWNER, "name": "n2"}]}, "an owner reference set to itself"),
        ({"ownerReferences": [{**OWNER, "kind": "Pod"}]}, "an owner reference set to itself"),
        ({"ownerReferences": [{**OWNER, "apiVersion": "v2"}]}, "an owner reference set to itself"),
        ({"ownerReferences": [{**OWNER, "controller": False}]}, "a controller owner reference set to itself"),
        ({"ownerReferences": [{**OWNER, "blockOwnerDeletion": True}]}, "must not set blockOwnerDeletion"),
        ({"ownerReferences": [{**OWNER, "uid": "u2"}]}, "node n1 UID mismatch: expected u2 got n1"),
        ({"namespace": "acme-web"}, 'in namespace "acme-web" of tenant "acme"'),
    ],
)
async def test_whose_mirrors_and_where(metadata: dict[str, Any], words: str) -> None:
    assert words in await refusal(mirror(metadata))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"nodeName": "n2"}, "spec.nodeName set to itself"),
        ({"nodeName": ""}, "spec.nodeName set to itself"),
        ({"serviceAccountName": "robot"}, "a service account"),
        ({"imagePullSecrets": [{"name": "s"}]}, "secrets"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "secrets"),
        ({"initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "s"}}]}]}, "secrets"),
        ({"ephemeralContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "s"}}]}]}, "secrets"),
        (
            {"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m"}}}]}]},
            "configmaps",
        ),
        ({"volumes": [projected({"configMap": {"name": "m"}})]}, "configmaps"),
        ({"volumes": [projected({"serviceAccountToken": {"path": "t"}})]}, "a service account"),
        ({"volumes": [projected({"clusterTrustBundle": {"path": "c"}})]}, "clustertrustbundles"),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "d"}}]}, "persistentvolumeclaims"),
        ({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {}}}]}, "persistentvolumeclaims"),
        ({"resourceClaims": [{"name": "r", "resourceClaimName": "gpu"}]}, "resourceclaims"),
    ],
)
async def test_a_mirror_names_nothing_of_the_api(spec: dict[str, Any], words: str) -> None:
    assert words in await refusal(mirror(None, **spec))


def test_a_mirror_runs_as_no_account_and_stays_a_mirror() -> None:
    pod = mirror()
    prepare_create(pod)
    assert "serviceAccountName" not in pod["spec"]
    plain = mirror({"annotations": {}})
    prepare_create(plain)
    assert plain["spec"]["serviceAccountName"] == "default"

    def told(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
        return [str(error) for error in update_errors(new, old) if MIRROR in error.path]

    changed, removed = deepcopy(pod), deepcopy(pod)
    changed["metadata"]["annotations"] = {MIRROR: "other"}
    removed["metadata"]["annotations"] = {}
    forbidden = f"metadata.annotations[{MIRROR}]: Forbidden: "
    assert told(pod, pod) == []
    assert told(changed, pod) == told(removed, pod) == [forbidden + "may not remove or update mirror pod annotation"]
    assert told(pod, removed) == [forbidden + "may not add mirror pod annotation"]
    nowhere = mirror()
    del nowhere["spec"]["nodeName"]
    assert any("must set spec.nodeName if mirror pod annotation is set" in str(one) for one in pod_errors(nowhere))
