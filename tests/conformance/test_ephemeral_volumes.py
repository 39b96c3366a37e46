"""Generic ephemeral volumes: a claim that comes and goes with its pod."""

from __future__ import annotations

from functools import partial

import pytest

from tests.conformance.workloads import SLEEP, container, pod
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


def user(name: str, image: str, script: str) -> Document:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    template = {"metadata": {"labels": {"of": name}}, "spec": asked}
    mounts = [{"name": "scratch", "mountPath": "/scratch"}]
    return pod(
        name,
        container(image, script, volumeMounts=mounts),
        volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}],
    )


def _enters(api: Rest, path: str, phase: str) -> bool:
    status = api.get(path)["status"]
    if status.get("phase") != phase:
        raise NotYet(f"{path}: {status}")
    return True


async def test_a_claim_comes_and_goes_with_its_pod(api: Rest, space: str, image: str) -> None:
    inside = f"/api/v1/namespaces/{space}"
    made = api.create(f"{inside}/pods", user("one", image, f"echo mine > /scratch/file; {SLEEP}"))
    await until(partial(_enters, api, f"{inside}/pods/one", "Running"), timeout=60)
    claim = api.get(f"{inside}/persistentvolumeclaims/one-scratch")
    assert claim["metadata"]["labels"] == {"of": "one"}
    (owner,) = claim["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Pod", made["metadata"]["uid"], True)
    assert claim["status"]["phase"] == "Bound"
    volume = f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}"
    api.delete(f"{inside}/pods/one", {"propagationPolicy": "Foreground"})
    for path in (f"{inside}/pods/one", f"{inside}/persistentvolumeclaims/one-scratch", volume):
        await until(partial(api.missing, path), timeout=60)


async def test_a_claim_of_somebody_else_is_never_used(api: Rest, space: str, image: str) -> None:
    inside = f"/api/v1/namespaces/{space}"
    claims = f"{inside}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    api.create(claims, {"metadata": {"name": "two-scratch"}, "spec": spec})
    api.create(f"{inside}/pods", user("two", image, "true"))
    words = f"PVC {space}/two-scratch was not created for pod {space}/two (pod is not owner)"

    def told() -> bool:
        events = api.get(f"{inside}/events", fieldSelector="involvedObject.name=two")["items"]
        said = {event["reason"]: event["message"] for event in events}
        if said.get("FailedBinding") != f"ephemeral volume scratch: {words}":
            raise NotYet(str(said))
        return words in said.get("FailedScheduling", "")

    await until(told, timeout=30)
    assert api.get(f"{inside}/pods/two")["spec"].get("nodeName") is None
    api.delete(f"{claims}/two-scratch")
    await until(partial(_enters, api, f"{inside}/pods/two", "Succeeded"), timeout=90)
    assert api.get(f"{claims}/two-scratch")["metadata"]["ownerReferences"][0]["name"] == "two"
    api.delete(f"{inside}/pods/two")
