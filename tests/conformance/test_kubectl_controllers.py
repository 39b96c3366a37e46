"""kubectl and ReplicationControllers, as "Kubectl client Update Demo" asks: made, counted, scaled, stopped, on real pods."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.conformance.workloads import replication_controller, running
from tests.support.kubectl import Kubectl
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

NAME = "update-demo"
NAMES = "{{range .items}}{{.metadata.name}} {{end}}"
RUNNING = (
    '{{if (exists . "status" "containerStatuses")}}{{range .status.containerStatuses}}'
    '{{if (and (eq .name "main") (exists . "state" "running"))}}true{{end}}{{end}}{{end}}'
)
"""A template of kubectl's own (``exists`` is none of Go's): "true" where the container runs."""


async def _there(kubectl: Kubectl, replicas: int, image: str) -> list[str]:
    """The pods, once they are so many and each runs its image."""

    def there() -> list[str]:
        names = kubectl("get", "pods", "-o", "template", f"--template={NAMES}", "-l", f"app={NAME}").split()
        assert len(names) == replicas, names
        for name in names:
            assert kubectl("get", "pods", name, "-o", "template", f"--template={RUNNING}") == "true"
            assert kubectl("get", "pods", name, "-o", "jsonpath={.spec.containers[0].image}") == image
        return names

    return await until(there, timeout=60)


async def test_a_controller_is_made_scaled_described_and_stopped(kubectl: Kubectl, image: str) -> None:
    manifest = json.dumps(replication_controller(NAME, running(image), replicas=2))
    assert kubectl("create", "-f", "-", stdin=manifest) == f"replicationcontroller/{NAME} created"
    first = await _there(kubectl, 2, image)
    assert kubectl("scale", "rc", NAME, "--replicas=1", "--timeout=5m") == f"replicationcontroller/{NAME} scaled"
    (left,) = await _there(kubectl, 1, image)
    assert left in first
    scaled = kubectl("scale", f"rc/{NAME}", "--current-replicas=1", "--replicas=2", "--timeout=5m")
    assert scaled == f"replicationcontroller/{NAME} scaled"
    assert left in await _there(kubectl, 2, image)
    wrong = kubectl.attempt("scale", f"rc/{NAME}", "--current-replicas=7", "--replicas=3")
    assert "Expected replicas to be 7, was 2" in wrong.err
    header, row = kubectl("get", "rc", "-o", "wide").splitlines()
    assert header.split() == ["NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert row.split()[:3] == [NAME, "2", "2"]
    assert row.split()[-3:] == ["main", image, f"app={NAME}"]
    described = kubectl("describe", "rc", NAME)
    for words in (
        f"Selector:     app={NAME}",
        "Replicas:     2 current / 2 desired",
        "Pods Status:  2 Running / 0 Waiting / 0 Succeeded / 0 Failed",
        "SuccessfulCreate",
        f"Created pod: {NAME}-",
        f"Deleted pod: {NAME}-",
    ):
        assert words in described, described
    deleted = kubectl("delete", "--grace-period=0", "--force", "-f", "-", stdin=manifest)
    assert f'replicationcontroller "{NAME}" force deleted' in deleted
    await until(lambda: kubectl("get", "rc,pods", "-l", f"app={NAME}", "--no-headers", "-o", "name") == "")


async def test_a_controllers_pods_can_be_exposed(kubectl: Kubectl, image: str) -> None:
    """ "Kubectl expose should create services for rc"."""
    template = running(image, ports=[{"containerPort": 6379}])
    kubectl("create", "-f", "-", stdin=json.dumps(replication_controller("agnhost-primary", template)))
    exposed = kubectl("expose", "rc", "agnhost-primary", "--name=rm2", "--port=1234", "--target-port=6379")
    assert exposed == "service/rm2 exposed"
    assert (
        kubectl("expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379") == "service/rm3 exposed"
    )
    (pod,) = await _pods(kubectl)
    for name, port in (("rm2", 1234), ("rm3", 2345)):
        (one,) = kubectl.json("get", "service", name)["spec"]["ports"]
        assert (one["port"], one["targetPort"]) == (port, 6379)
        await until(partial(_leads_to, kubectl, name, f"{pod}:6379"))
    kubectl("delete", "rc/agnhost-primary", "service/rm2", "service/rm3")


def _leads_to(kubectl: Kubectl, service: str, address: str) -> bool:
    return kubectl("get", "endpoints", service, "--no-headers").split()[1] == address


async def _pods(kubectl: Kubectl) -> list[str]:
    def ready() -> list[str]:
        found = kubectl("get", "pods", "-l", "app=agnhost-primary", "-o", "jsonpath={.items[*].status.podIP}").split()
        assert found
        return found

    return await until(ready, timeout=60)
