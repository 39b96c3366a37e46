"""``docs/teams.md`` to its end on a real node: login by OpenID, a namespace of one's own, a push, pods that run in limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conformance.workloads import container, deployment
from tests.integration.tenants.tenancy.test_first_push import CONFIG, Person, person
from tests.support.installation import Installation, new_installation
from tests.support.oidc import Provider
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def platform(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with a node that trusts the provider."""
    file = tmp_path_factory.mktemp("first-pod") / "config.yaml"
    file.write_text(yaml.safe_dump({**CONFIG, "jwt": [provider.config()]}))
    with new_installation() as made:
        made.up("--node", "first-node", "--authentication-config", str(file))
        yield made


def write(alice: Person, image: str) -> Path:
    """The repository of the page, with one Deployment in it."""
    work = alice.home / "web"
    (work / "deploy").mkdir(parents=True)
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container(image)]}
    (work / "deploy" / "web.yaml").write_text(yaml.safe_dump(deployment("web", spec, 2)))
    alice.do("git", "init", "--quiet", "-b", "main", folder=work)
    alice.do("git", "add", "-A", folder=work)
    alice.do("git", "commit", "--quiet", "-m", "First", folder=work)
    return work


async def test_from_login_to_running_pods(
    platform: Installation, provider: Provider, tmp_path: Path, image: str
) -> None:
    platform.do(
        "tenants create",
        "blue",
        *("--owner-group", "corp:blue", "--quota", "cpu=2,memory=2Gi,pods=2", "--namespaces", "3"),
        *("--default-requests", "cpu=50m,memory=32Mi"),
    )
    invited = platform.do("tenants invite", "blue", "corp:blue", "--group", "--owner")
    login = re.search(r"moorage (login .*)", invited)
    assert login is not None
    alice = person(tmp_path, "alice", platform, provider)
    alice.log_in("alice+blue", *login[1].split())
    alice.kubectl("create", "namespace", "blue")
    work = write(alice, image)
    pushed = alice.run("git", "push", f"{platform.url}/git/blue/web.git", "main", folder=work)
    assert pushed.code == 0, pushed.err
    assert "created     Deployment blue/web" in pushed.err

    def running() -> bool:
        found = json.loads(alice.kubectl("get", "pods", "-n", "blue", "-o", "json"))["items"]
        phases = [each["status"].get("phase") for each in found]
        if phases != ["Running", "Running"]:
            raise NotYet(str(phases))
        return True

    await until(running, timeout=90)
    requests = alice.kubectl(
        "get", "pods", "-n", "blue", "-o", "jsonpath={.items[0].spec.containers[0].resources.requests.memory}"
    )
    assert requests == "32Mi"
    more = alice.kubectl.attempt("run", "third", "-n", "blue", "--image", image)
    assert 'exceeded quota of tenant "blue": requested: pods=1, used: pods=2, limited: pods=2' in more.err
    platform.do("tenants delete", "blue", "--stop")
    admin = platform.kubectl("blue")
    await until(lambda: admin("get", "pods", "-o", "name") == "", timeout=60)
    platform.do("tenants restore", "blue")
    await until(running, timeout=90)
