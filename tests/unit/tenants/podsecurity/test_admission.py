"""The admission: refusals, warnings, tenants' floors, and what a stricter level says of pods that are there."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.errors import ApiError
from moorage.resources.kind import Document
from moorage_tenants.podsecurity import existing
from moorage_tenants.podsecurity.admission import PodSecurity
from tests.unit.tenants.limits.asking import World, admitted, asked, kind, pod

POD, NAMESPACE, DEPLOYMENT = kind("Pod"), kind("Namespace"), kind("Deployment", "apps")
PRIVILEGED_CONTAINER = [{"name": "c", "image": "nginx", "securityContext": {"privileged": True}}]
REFUSED = 'privileged (container "c" must not set securityContext.privileged=true)'


def namespace(name: str = "shop", tenant: str = "", **levels: str) -> Document:
    labels = {f"pod-security.kubernetes.io/{mode.replace('_', '-')}": level for mode, level in levels.items()}
    if tenant:
        labels["tenancy.moorage.io/tenant"] = tenant
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def tenant(**levels: str) -> Document:
    return {
        "apiVersion": "tenancy.moorage.io/v1",
        "kind": "Tenant",
        "metadata": {"name": "acme"},
        "spec": {"owners": [], "podSecurity": levels},
    }


def bad(**more: Any) -> Document:
    return pod(containers=PRIVILEGED_CONTAINER, **more)


async def test_a_pod_is_refused_in_kubernetes_words() -> None:
    world = World(namespace(enforce="restricted"))
    assert await admitted(PodSecurity(), asked(world, POD, pod())) == [
        'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set '
        'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set '
        'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    ]


@pytest.mark.parametrize("labels", [{}, {"enforce": "privileged"}])
async def test_without_a_level_everything_passes(labels: dict[str, str]) -> None:
    request = asked(World(namespace(**labels)), POD, bad())
    assert await admitted(PodSecurity(), request) == []
    assert request.warnings == []


async def test_a_warning_is_said_once() -> None:
    request = asked(World(namespace(warn="baseline", warn_version="v1.30")), POD, bad())
    assert await admitted(PodSecurity(), request) == []
    assert await admitted(PodSecurity(), request) == []
    assert request.warnings == [f'would violate PodSecurity "baseline:v1.30": {REFUSED}']


async def test_a_refusal_carries_no_warning() -> None:
    request = asked(World(namespace(enforce="baseline", warn="baseline")), POD, bad())
    assert await admitted(PodSecurity(), request) == [f'violates PodSecurity "baseline:latest": {REFUSED}']
    assert request.warnings == []


async def test_makers_of_pods_are_warned_and_pass() -> None:
    template = {"metadata": {}, "spec": {"containers": PRIVILEGED_CONTAINER}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"template": template},
    }
    for labels in ({"enforce": "baseline"}, {"warn": "baseline"}, {"enforce": "privileged", "warn": "baseline"}):
        request = asked(World(namespace(**labels)), DEPLOYMENT, deployment)
        assert await admitted(PodSecurity(), request) == []
        assert request.warnings == [f'would violate PodSecurity "baseline:latest": {REFUSED}']
    request = asked(World(namespace(enforce="baseline", warn="privileged")), DEPLOYMENT, deployment)
    assert await admitted(PodSecurity(), request) == []
    assert request.warnings == []


async def test_ephemeral_containers_and_images_are_looked_at() -> None:
    world = World(namespace(enforce="baseline"))
    debugger = {"name": "debugger", "image": "busybox", "securityContext": {"privileged": True}}
    new = pod(ephemeralContainers=[debugger])
    assert await admitted(PodSecurity(), asked(world, POD, new, pod(), subresource="ephemeralcontainers")) == [
        'violates PodSecurity "baseline:latest": privileged (container "debugger" must not set '
        "securityContext.privileged=true)"
    ]
    other_image = [{**PRIVILEGED_CONTAINER[0], "image": "nginx:2"}]
    assert await admitted(PodSecurity(), asked(world, POD, pod(containers=other_image), bad())) != []


@pytest.mark.parametrize("subresource", ["status", "binding", "eviction", "exec", "resize", ""])
async def test_updates_that_change_nothing_of_it_pass(subresource: str) -> None:
    old = bad()
    new = {**bad(), "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    world = World(namespace(enforce="baseline"))
    assert await admitted(PodSecurity(), asked(world, POD, new, old, subresource=subresource)) == []


@pytest.mark.parametrize(
    ("labels", "floor", "refused"),
    [
        ({}, {"enforce": "baseline"}, "baseline:latest"),
        ({"enforce": "privileged"}, {"enforce": "baseline"}, "baseline:latest"),
        ({"enforce": "baseline", "enforce_version": "v1.20"}, {"enforce": "baseline"}, "baseline:latest"),
        ({"enforce": "restricted"}, {"enforce": "baseline"}, "restricted:latest"),
        ({"enforce": "privileged"}, {"enforce": "privileged"}, ""),
    ],
)
async def test_a_tenant_sets_the_floor(labels: dict[str, str], floor: dict[str, str], refused: str) -> None:
    world = World(namespace(tenant="acme", **labels), tenant(**floor))
    problems = await admitted(PodSecurity(), asked(world, POD, bad()))
    assert [problem.split('"')[1] for problem in problems] == ([refused] if refused else [])


async def test_broken_labels_are_refused_once() -> None:
    broken = namespace(enforce="strict")
    with pytest.raises(ApiError) as caught:
        await admitted(PodSecurity(), asked(World(), NAMESPACE, broken))
    assert caught.value.code == 422
    assert caught.value.message == (
        'Namespace "shop" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": '
        "must be one of privileged, baseline, restricted"
    )
    assert await admitted(PodSecurity(), asked(World(), NAMESPACE, broken, namespace(enforce="strict"))) == []


async def test_a_stricter_level_tells_of_pods_that_break_it() -> None:
    named = [{**bad(), "metadata": {"namespace": "shop", "name": name}} for name in ("b", "a", "d")]
    world = World(*named, pod(), {**bad(), "metadata": {"namespace": "other", "name": "x"}})
    request = asked(world, NAMESPACE, namespace(enforce="baseline"), namespace())
    assert await admitted(PodSecurity(), request) == []
    assert request.warnings == [
        'existing pods in namespace "shop" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): privileged",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"enforce": "baseline"}, {"enforce": "baseline"}),
        ({"enforce": "restricted"}, {"enforce": "baseline"}),
        ({"enforce": "baseline"}, {"enforce": "privileged"}),
        ({}, {"warn": "baseline"}),
    ],
)
async def test_a_looser_level_tells_nothing(old: dict[str, str], new: dict[str, str]) -> None:
    request = asked(World(bad()), NAMESPACE, namespace(**new), namespace(**old))
    assert await admitted(PodSecurity(), request) == []
    assert request.warnings == []


async def test_not_every_pod_of_a_crowd_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing, "MOST", 2)
    crowd = [{**pod(), "metadata": {"namespace": "shop", "name": f"p{index}"}} for index in range(3)]
    request = asked(World(*crowd), NAMESPACE, namespace(enforce="baseline"), namespace())
    assert await admitted(PodSecurity(), request) == []
    assert request.warnings == ["new PodSecurity enforce level only checked against the first 2 of 3 existing pods"]


def listening(*ports: int) -> Document:
    """A pod on ports of its node."""
    taken = [{"containerPort": port, "hostPort": port} for port in ports]
    return pod(containers=[{"name": "c", "image": "nginx", "ports": [{"containerPort": 1}, *taken]}])


@pytest.mark.parametrize(
    ("ports", "refused"),
    [((8080,), ""), ((30005, 8080), ""), ((8081,), "8081"), ((8080, 80, 443), "443, 80"), ((30011,), "30011")],
)
async def test_ports_that_the_tenant_may_have(ports: tuple[int, ...], refused: str) -> None:
    owner = tenant(enforce="baseline")
    owner["spec"]["hostPorts"] = {"allowed": ["8080", "30000-30010"]}
    world = World(namespace(tenant="acme"), owner)
    found = await admitted(PodSecurity(), asked(world, POD, listening(*ports)))
    noun = "hostPorts" if "," in refused else "hostPort"
    told = f'violates PodSecurity "baseline:latest": hostPort (container "c" uses {noun} {refused})'
    assert found == ([told] if refused else [])


async def test_ports_without_a_tenant_that_names_them() -> None:
    assert await admitted(PodSecurity(), asked(World(namespace(enforce="baseline")), POD, listening(8080)))
    world = World(namespace(tenant="acme"), tenant(enforce="baseline"))
    assert await admitted(PodSecurity(), asked(world, POD, listening(8080)))


async def test_the_audit_is_told() -> None:
    world = World(namespace(enforce="privileged", audit="baseline", warn="privileged"))
    request = asked(world, POD, bad())
    assert await admitted(PodSecurity(), request) == []
    told = {"pod-security.kubernetes.io/audit-violations": f'would violate PodSecurity "baseline:latest": {REFUSED}'}
    assert (request.annotations, request.warnings) == (told, [])
    template = {"metadata": {}, "spec": {"containers": PRIVILEGED_CONTAINER}}
    metadata = {"namespace": "shop", "name": "web"}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template}}
    request = asked(world, DEPLOYMENT, deployment)
    assert await admitted(PodSecurity(), request) == []
    assert request.annotations == told
    request = asked(World(namespace(enforce="baseline")), POD, pod())
    assert await admitted(PodSecurity(), request) == []
    assert request.annotations == {"pod-security.kubernetes.io/enforce-policy": "baseline:latest"}
