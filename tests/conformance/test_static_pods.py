"""Static pods of a real node with the node's own credential: what kubectl shows of them, and what deleting one does."""

from __future__ import annotations

import json

import pytest

from tests.conformance import manifests
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.wait import until

pytestmark = pytest.mark.docker
NODE = "test-node"


async def test_a_static_pod_of_a_node(installation: Installation, kubectl: Kubectl, namespace: str, image: str) -> None:
    """File -> Running mirror that kubectl reads, logs and enters; deleted it comes back; without the file it goes."""
    document = json.loads(manifests.pod("own", image, "echo from a file; exec sleep 600", restart="Always"))
    document["metadata"]["namespace"] = namespace
    file = installation.static_pods / f"{namespace}.json"
    temporary = installation.static_pods / f".{namespace}"
    temporary.write_text(json.dumps(document))
    temporary.rename(file)
    name = f"own-{NODE}"

    def mirror() -> dict[str, str]:
        found = kubectl.attempt("get", "pod", name, "-o", "json")
        assert found.code == 0, found.err
        pod = json.loads(found.out)
        assert pod["status"]["phase"] == "Running", pod["status"]
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "Node"
        return {"uid": pod["metadata"]["uid"], "hash": pod["metadata"]["annotations"]["kubernetes.io/config.mirror"]}

    before = await until(mirror, timeout=60)
    assert kubectl("logs", name) == "from a file"
    assert kubectl("exec", name, "--", "echo", "inside") == "inside"

    def described() -> bool:
        text = kubectl("describe", "pod", name)
        assert f"Controlled By:  Node/{NODE}" in text
        assert "Started container main" in text, "events are found by the hash that the mirror names"
        return True

    await until(described)
    started = kubectl("get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].containerID}")
    kubectl("delete", "pod", name, "--wait=false")

    def again() -> bool:
        found = mirror()
        assert found["uid"] != before["uid"]
        assert found["hash"] == before["hash"]
        return True

    await until(again, timeout=60)
    ran_on = kubectl("get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].containerID}")
    assert ran_on == started
    file.unlink()

    def gone() -> bool:
        return "NotFound" in kubectl.attempt("get", "pod", name).err

    await until(gone, timeout=60)
