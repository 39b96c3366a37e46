"""Volumes beyond files of objects: tokens of service accounts, images, subPaths that lead out."""

from __future__ import annotations

import base64
import json

import pytest

from tests.conformance.workloads import SLEEP, container, pod
from tests.support.docker import docker
from tests.support.kubectl import Kubectl
from tests.support.registry import registry
from tests.support.rest import Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


@pytest.fixture(scope="module", autouse=True)
def pods(api: Rest, space: str, image: str) -> str:
    """Pods with these volumes."""
    path = f"/api/v1/namespaces/{space}/pods"
    audience = {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}}
    mounts = [{"name": "t", "mountPath": "/t"}, {"name": "i", "mountPath": "/image"}]
    volumes = [
        {"name": "t", "projected": {"sources": [audience]}},
        {"name": "i", "image": {"reference": image, "pullPolicy": "Never"}},
    ]
    api.create(path, pod("mounted", container(image, volumeMounts=mounts), volumes=volumes))
    name = {"name": "WHERE", "value": ".."}
    escape = {"name": "e", "mountPath": "/e", "subPathExpr": "$(WHERE)"}
    escaping = container(image, SLEEP, env=[name], volumeMounts=[escape])
    api.create(path, pod("escaping", escaping, volumes=[{"name": "e", "emptyDir": {}}]))
    return path


def _claims(token: str) -> dict[str, object]:
    body = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_a_token_is_mounted(shared: Kubectl, space: str) -> None:
    """A token of the pod's account, for the audience that the volume names."""
    shared("wait", "--for=condition=Ready", "pod/mounted", "--timeout=60s")
    claims = _claims(shared("exec", "mounted", "--", "cat", "/t/token"))
    assert claims["sub"] == f"system:serviceaccount:{space}:default"
    assert claims["aud"] == ["vault"]


def test_an_image_is_mounted(shared: Kubectl) -> None:
    """Its files are there, for reading only."""
    shared("wait", "--for=condition=Ready", "pod/mounted", "--timeout=60s")
    assert "busybox" in shared("exec", "mounted", "--", "ls", "/image/bin")
    refused = shared.attempt("exec", "mounted", "--", "touch", "/image/new")
    assert "Read-only file system" in refused.err


def test_an_image_is_pulled_and_mounted(api: Rest, shared: Kubectl, pods: str, image: str) -> None:
    """With the policy Always: from a registry, twice, the second time in spite of what is here."""
    with registry() as shop:
        shop.make(marker=shared.namespace)
        reference = f"{shop.address}/shop/files:1"
        for name in ("pulls", "pulls-again"):
            before = shop.pulls
            mounts = [{"name": "i", "mountPath": "/image"}, {"name": "i", "mountPath": "/part", "subPath": "bin"}]
            volumes = [{"name": "i", "image": {"reference": reference, "pullPolicy": "Always"}}]
            api.create(pods, pod(name, container(image, volumeMounts=mounts), volumes=volumes))
            shared("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
            assert shop.pulls > before
            assert "busybox" in shared("exec", name, "--", "ls", "/image/bin")
            assert "busybox" in shared("exec", name, "--", "ls", "/part")
            api.delete(f"{pods}/{name}", {"gracePeriodSeconds": 0})
    docker("rmi", "-f", reference)


async def test_a_subpath_does_not_lead_out(api: Rest, pods: str) -> None:
    """The container is not started, and its status says why."""

    def told() -> bool:
        (status,) = api.get(f"{pods}/escaping")["status"].get("containerStatuses") or [{}]
        waiting = status.get("state", {}).get("waiting", {})
        assert 'subPath "$(WHERE)" must be relative and must not contain ".."' in waiting.get("message", ""), status
        return True

    await until(told, timeout=30)
