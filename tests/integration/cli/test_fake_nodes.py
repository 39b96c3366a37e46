"""``moorage up --fake-nodes``: many nodes, no engine; pods behave as their variables say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.installation import new_installation
from tests.support.rest import Document, Rest
from tests.support.wait import until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def api() -> Iterator[Rest]:
    """The API of an installation with five fake nodes."""
    with new_installation() as made:
        made.up("--fake-nodes", "5")
        rest = Rest(made)
        yield rest
        rest.close()


def _pod(name: str, **variables: str) -> Document:
    env = [{"name": key, "value": value} for key, value in variables.items()]
    container = {"name": "c", "image": "registry.example/any:1", "env": env}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"metadata": {"name": name}, "spec": spec}


def _with_image(name: str, image: str) -> Document:
    """A pod whose image is pulled each time, as one without a tag is."""
    pod = _pod(name)
    pod["spec"]["containers"][0]["image"] = image
    return pod


async def test_pods_run_on_fake_nodes(api: Rest) -> None:
    fakes = api.names("/api/v1/nodes", labelSelector="node.kubernetes.io/instance-type=fake")
    assert sorted(fakes) == [f"fake-{number}" for number in range(5)]
    pods = "/api/v1/namespaces/default/pods"
    for number in range(20):
        api.create(pods, _pod(f"p{number}"))
    api.create(pods, _with_image("latest", "anything"))
    api.create(pods, _pod("job", FAKE_RUN_FOR="0.2", FAKE_EXIT_CODE="3", FAKE_OUTPUT="said\n"))

    def running() -> list[Document]:
        found = [one for one in api.get(pods)["items"] if one["status"]["phase"] == "Running"]
        assert len(found) == 21, len(found)
        return found

    where = Counter(one["spec"]["nodeName"] for one in await until(running, timeout=60))
    assert len(where) == 5, where

    def failed() -> Document:
        status: Document = api.get(f"{pods}/job")["status"]
        assert status["phase"] == "Failed", status
        return status

    status = await until(failed, timeout=30)
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    assert api.request("GET", f"{pods}/job/log").text == "said\n"
    api.delete(pods)
    await until(lambda: not api.names(pods), timeout=60)


def test_a_number_that_makes_no_sense_is_refused() -> None:
    with new_installation() as made:
        refused = made.run("up", "--fake-nodes", "-1")
        assert refused.code != 0
        assert "--fake-nodes -1: must be a number from 0 to 5000" in refused.err
