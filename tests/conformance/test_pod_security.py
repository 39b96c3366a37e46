"""The Pod Security Standards as people meet them: kubectl, namespaces, Deployments, tenants, transactions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import yaml

from tests.conformance.workloads import deployment, nowhere, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import MERGE_PATCH, Document, Rest
from tests.support.wait import until

pytestmark = pytest.mark.docker

TENANTS = "/apis/tenancy.moorage.io/v1/tenants"
LABEL = "pod-security.kubernetes.io"
PRIVILEGED = 'privileged (container "main" must not set securityContext.privileged=true)'
_numbers = itertools.count(1)


def mighty(name: str = "mighty") -> Document:
    """A pod that asks for everything."""
    document = pod(name, **nowhere())
    document["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    return document


def modest(name: str = "modest") -> Document:
    """A pod that meets the strictest level."""
    document = pod(name, **nowhere())
    document["spec"]["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    document["spec"]["containers"][0]["securityContext"] = own
    return document


@pytest.fixture
def core(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}"


async def test_kubectl_is_told_why(namespace: str, kubectl: Kubectl) -> None:
    kubectl("label", "namespace", namespace, f"{LABEL}/enforce=restricted", f"{LABEL}/enforce-version=v1.30")
    refused = kubectl.attempt("apply", "-f", "-", stdin=yaml.safe_dump(pod("plain", **nowhere())))
    assert refused.code == 1
    assert (
        'pods "plain" is forbidden: violates PodSecurity "restricted:v1.30": allowPrivilegeEscalation != false '
        '(container "main" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities '
        '(container "main" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container '
        '"main" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "main" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    ) in refused.err
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(modest()))


async def test_workloads_are_warned_of_and_their_pods_refused(api: Rest, namespace: str, kubectl: Kubectl) -> None:
    kubectl("label", "namespace", namespace, f"{LABEL}/enforce=baseline")
    applied = kubectl.attempt(
        "apply", "-f", "-", stdin=yaml.safe_dump(deployment("web", mighty()["spec"] | {"restartPolicy": "Always"}))
    )
    assert applied.code == 0, applied.err
    assert f'Warning: would violate PodSecurity "baseline:latest": {PRIVILEGED}' in applied.err
    sets = f"/apis/apps/v1/namespaces/{namespace}/replicasets"

    def refused() -> bool:
        conditions = [each for item in api.get(sets)["items"] for each in item["status"].get("conditions") or ()]
        return any(f'violates PodSecurity "baseline:latest": {PRIVILEGED}' in each["message"] for each in conditions)

    await until(refused)


async def test_a_stricter_level_tells_of_pods_that_are_there(
    api: Rest, core: str, namespace: str, kubectl: Kubectl
) -> None:
    api.create(f"{core}/pods", mighty())
    labelled = kubectl.attempt("label", "namespace", namespace, f"{LABEL}/enforce=baseline")
    assert labelled.code == 0
    assert f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "baseline:latest"' in (
        labelled.err
    )
    assert "Warning: mighty: privileged" in labelled.err
    wrong = kubectl.attempt("label", "namespace", namespace, f"{LABEL}/warn=strict")
    assert "must be one of privileged, baseline, restricted" in wrong.err


async def test_ephemeral_containers_are_held_to_it(api: Rest, core: str, namespace: str, kubectl: Kubectl) -> None:
    api.create(f"{core}/pods", modest())
    kubectl("label", "namespace", namespace, f"{LABEL}/enforce=baseline")
    debugger = {"name": "main2", "image": "none.local/x:1", "securityContext": {"privileged": True}}
    change = {"spec": {"ephemeralContainers": [debugger]}}
    path = f"{core}/pods/modest/ephemeralcontainers"
    refused = api.request("PATCH", path, change, "application/strategic-merge-patch+json").refused(403)
    assert 'privileged (container "main2" must not set securityContext.privileged=true)' in refused


async def test_a_namespace_and_its_pods_in_one_transaction(api: Rest) -> None:
    name = f"secure-{next(_numbers)}"
    labels = {f"{LABEL}/enforce": "baseline"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    inside = mighty()
    inside["metadata"]["namespace"] = name
    operations = [{"verb": "create", "object": each} for each in (namespace, inside)]
    transaction = {"apiVersion": "moorage.io/v1", "kind": "Transaction", "spec": {"operations": operations}}
    refused = api.request("POST", "/apis/moorage.io/v1/transactions", transaction).refused(403)
    assert f'violates PodSecurity "baseline:latest": {PRIVILEGED}' in refused
    assert api.missing(f"/api/v1/namespaces/{name}")


@pytest.fixture
def tenant(api: Rest, namespace: str) -> Iterator[str]:
    name = f"secured-{next(_numbers)}"
    owners = [{"kind": "User", "name": "nobody"}]
    api.create(
        TENANTS, {"metadata": {"name": name}, "spec": {"owners": owners, "podSecurity": {"enforce": "baseline"}}}
    )
    label = {"metadata": {"labels": {"tenancy.moorage.io/tenant": name}}}
    api.patch(f"/api/v1/namespaces/{namespace}", label, MERGE_PATCH)
    yield name
    api.patch(
        f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"tenancy.moorage.io/tenant": None}}}, MERGE_PATCH
    )
    api.delete(f"{TENANTS}/{name}")


@pytest.mark.usefixtures("tenant")
async def test_a_tenant_sets_the_least(api: Rest, core: str) -> None:
    refused = api.request("POST", f"{core}/pods", mighty()).refused(403)
    assert f'violates PodSecurity "baseline:latest": {PRIVILEGED}' in refused
    api.create(f"{core}/pods", modest())


async def test_the_audit_tells_what_would_be_violated(api: Rest, namespace: str, core: str) -> None:
    labels = {f"{LABEL}/enforce": "privileged", f"{LABEL}/audit": "baseline", f"{LABEL}/warn": "privileged"}
    api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}}, MERGE_PATCH)
    assert api.request("POST", f"{core}/pods", mighty()).warnings == ""
    [row] = api.get("/apis/moorage.io/v1/audit", namespace=namespace, resource="pods", verb="create")["items"]
    told = {f"{LABEL}/audit-violations": f'would violate PodSecurity "baseline:latest": {PRIVILEGED}'}
    assert row["detail"]["annotations"] == told
    assert row["name"] == "mighty"
