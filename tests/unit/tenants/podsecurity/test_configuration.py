"""What a server is told of pod security: defaults for namespaces without labels, and who is exempt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moorage.api.contracts import Identity
from moorage_tenants.configuration_fields import BadConfiguration
from moorage_tenants.podsecurity.admission import PodSecurity
from moorage_tenants.podsecurity.configuration import PodSecurityConfig, read
from tests.unit.tenants.limits.asking import World, admitted, asked, pod
from tests.unit.tenants.podsecurity.test_admission import DEPLOYMENT, NAMESPACE, POD, REFUSED, bad, namespace

TEXT = """
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline, enforce-version: latest, warn: restricted}
    exemptions: {usernames: [builder], namespaces: [shed], runtimeClasses: [boxed]}
"""


@pytest.fixture
def config(tmp_path: Path) -> PodSecurityConfig:
    """What ``TEXT`` says."""
    path = tmp_path / "admission.yaml"
    path.write_text(TEXT)
    return read(path)


async def test_a_namespace_without_labels_has_the_defaults(config: PodSecurityConfig) -> None:
    request = asked(World(namespace()), POD, pod())
    assert await admitted(PodSecurity(config), request) == []
    assert [text[:48] for text in request.warnings] == ['would violate PodSecurity "restricted:latest": a']
    refused = await admitted(PodSecurity(config), asked(World(namespace()), POD, bad()))
    assert refused == [f'violates PodSecurity "baseline:latest": {REFUSED}']


async def test_labels_go_before_the_defaults(config: PodSecurityConfig) -> None:
    request = asked(World(namespace(enforce="privileged")), POD, bad())
    assert await admitted(PodSecurity(config), request) == []
    assert request.warnings == []


async def test_users_namespaces_and_runtime_classes_are_exempt(config: PodSecurityConfig) -> None:
    world = World(namespace(enforce="restricted"), namespace("shed", enforce="restricted"))
    by_user = replace(asked(world, POD, bad()), identity=Identity("builder", frozenset()))
    in_shed = bad()
    in_shed["metadata"]["namespace"] = "shed"
    cases = {
        "user": by_user,
        "namespace": asked(world, POD, in_shed),
        "runtimeClass": asked(world, POD, bad(runtimeClassName="boxed")),
    }
    for why, request in cases.items():
        assert await admitted(PodSecurity(config), request) == []
        assert request.annotations == {"pod-security.kubernetes.io/exempt": why}
        assert request.warnings == []


async def test_makers_of_exempt_pods_are_not_warned(config: PodSecurityConfig) -> None:
    template = {"metadata": {}, "spec": bad(runtimeClassName="boxed")["spec"]}
    deployment: dict[str, Any] = {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"template": template}}
    request = asked(World(namespace(enforce="restricted")), DEPLOYMENT, deployment)
    await PodSecurity(config).validate(request)
    assert request.warnings == []


async def test_who_labels_an_exempt_namespace_is_told(config: PodSecurityConfig) -> None:
    request = asked(World(), NAMESPACE, namespace("shed", enforce="restricted"), namespace("shed"))
    await PodSecurity(config).validate(request)
    assert request.warnings == [
        'namespace "shed" is exempt from Pod Security, and the policy (enforce=restricted:latest, '
        "audit=restricted:latest, warn=restricted:latest) will be ignored"
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("enforce: baseline", "enforce: strict", "plugins[0].configuration.defaults.enforce: 'strict' must be one of"),
        ("latest", "1.30", 'plugins[0].configuration.defaults.enforce-version: \'1.30\' must be "latest" or "v1.x"'),
        ("usernames", "users", "plugins[0].configuration.exemptions.users: is not known here; one of namespaces"),
        ("name: PodSecurity", "name: ImagePolicy", "plugins[0].name: 'ImagePolicy' is not known here"),
        ("kind: AdmissionConfiguration", "kind: Admission", 'must be of kind "AdmissionConfiguration"'),
        ("plugins:", "plugins: [", "is not YAML"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "admission.yaml"
    path.write_text(TEXT.replace(old, new, 1).replace("enforce-version: 1.30", 'enforce-version: "1.30"'))
    with pytest.raises(BadConfiguration) as caught:
        read(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
