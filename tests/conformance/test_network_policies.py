"""NetworkPolicies on real pods, and the isolation between tenants that is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.traffic import PORT, ask, client, server
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.rest import MERGE_PATCH, Document, Rest
from tests.support.wait import until

TENANTS = "/apis/tenancy.moorage.io/v1/tenants"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"


class Team:
    """A tenant with a namespace that holds a server and a client."""

    def __init__(self, installation: Installation, api: Rest, image: str, name: str) -> None:
        self.name, self.api = name, api
        api.create(
            TENANTS, {"metadata": {"name": name}, "spec": {"owners": [{"kind": "User", "name": f"{name}-owner"}]}}
        )
        for namespace in self.namespaces:
            labels = {"tenancy.moorage.io/tenant": name}
            api.create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
        self.kubectl = installation.kubectl(name)
        pods = f"/api/v1/namespaces/{name}/pods"
        api.create(pods, server(image, "server"))
        api.create(pods, client(image))
        api.create(f"/api/v1/namespaces/{name}-two/pods", client(image))

    @property
    def namespaces(self) -> tuple[str, str]:
        """Both namespaces of the tenant."""
        return self.name, f"{self.name}-two"

    def address(self) -> str:
        """The server's."""
        return str(self.api.get(f"/api/v1/namespaces/{self.name}/pods/server")["status"]["podIP"])

    def remove(self) -> None:
        """Take the namespaces and the tenant away."""
        self.kubectl("delete", "namespace", *self.namespaces, "--timeout=100s")
        self.api.delete(f"{TENANTS}/{self.name}")


@pytest.fixture(scope="module")
def teams(installation: Installation, api: Rest, image: str) -> Iterator[tuple[Team, Team]]:
    """Two tenants whose pods run."""
    red, blue = (Team(installation, api, image, name) for name in ("net-red", "net-blue"))
    try:
        for team in (red, blue):
            for namespace in team.namespaces:
                kubectl = installation.kubectl(namespace)
                kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        yield red, blue
    finally:
        red.remove()
        blue.remove()


async def test_tenants_do_not_reach_each_other_until_one_lets_the_other_in(
    teams: tuple[Team, Team], api: Rest, installation: Installation
) -> None:
    red, blue = teams
    own = await until(lambda: ask(red.kubectl, "client", red.address(), PORT)[0] or None)
    assert own == "server"
    assert ask(installation.kubectl("net-red-two"), "client", red.address(), PORT) == ["server"]
    assert ask(blue.kubectl, "client", red.address(), PORT) == [""]
    assert ask(red.kubectl, "client", blue.address(), PORT) == [""]

    def open_to(*tenants: str) -> None:
        change = {"spec": {"network": {"allowFrom": list(tenants)}}}
        api.request("PATCH", f"{TENANTS}/net-red", change, MERGE_PATCH).ok()

    open_to("net-blue")
    await until(lambda: ask(blue.kubectl, "client", red.address(), PORT) == ["server"])
    assert ask(red.kubectl, "client", blue.address(), PORT) == [""]
    open_to()
    await until(lambda: ask(blue.kubectl, "client", red.address(), PORT) == [""])


async def test_a_new_pod_of_a_tenant_is_never_open_to_others(teams: tuple[Team, Team], api: Rest, image: str) -> None:
    red, blue = teams
    pods = "/api/v1/namespaces/net-red/pods"
    api.create(pods, server(image, "fresh"))
    address = await until(lambda: api.get(f"{pods}/fresh")["status"].get("podIP"))
    answers = ask(blue.kubectl, "client", address, PORT, times=4)
    assert answers == [""]
    await until(lambda: ask(red.kubectl, "client", address, PORT) == ["fresh"])


@pytest.fixture(scope="module")
def talking(api: Rest, shared: Kubectl, space: str, image: str) -> dict[str, str]:
    """A server and two clients in a namespace without a tenant; addresses by name."""
    pods = f"/api/v1/namespaces/{space}/pods"
    for made in (server(image, "web"), client(image, "friend", "friend"), client(image, "stranger", "stranger")):
        api.create(pods, made)
    shared("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    return {name: api.get(f"{pods}/{name}")["status"]["podIP"] for name in ("web", "friend", "stranger")}


def policy(name: str, app: str, **spec: Any) -> Document:
    return {"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": {"app": app}}, **spec}}


async def test_a_policy_admits_whom_it_names_at_the_ports_it_names(
    api: Rest, shared: Kubectl, space: str, talking: dict[str, str]
) -> None:
    path, web = POLICIES.format(space), talking["web"]
    assert ask(shared, "stranger", web, PORT) == ["web"]
    friends = [{"podSelector": {"matchLabels": {"app": "friend"}}}]
    ingress = [{"from": friends, "ports": [{"protocol": "TCP", "port": "http"}]}]
    api.create(path, policy("web", "web", ingress=ingress))
    await until(lambda: ask(shared, "stranger", web, PORT) == [""])
    await until(lambda: ask(shared, "friend", web, PORT) == ["web"])
    api.patch(f"{path}/web", {"spec": {"ingress": [{"from": friends, "ports": [{"protocol": "TCP", "port": 9}]}]}})
    await until(lambda: ask(shared, "friend", web, PORT) == [""])
    api.delete(f"{path}/web")
    await until(lambda: ask(shared, "stranger", web, PORT) == ["web"])


async def test_a_policy_keeps_pods_from_going_out(
    api: Rest, shared: Kubectl, space: str, talking: dict[str, str]
) -> None:
    path, web = POLICIES.format(space), talking["web"]
    block = {"cidr": "0.0.0.0/0", "except": [f"{web}/32"]}
    api.create(path, policy("out", "friend", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}]))
    await until(lambda: ask(shared, "friend", web, PORT) == [""])
    assert ask(shared, "stranger", web, PORT) == ["web"]
    api.delete(f"{path}/out")
    await until(lambda: ask(shared, "friend", web, PORT) == ["web"])


async def test_labels_that_change_lead_to_other_policies(
    api: Rest, shared: Kubectl, space: str, talking: dict[str, str]
) -> None:
    path, web = POLICIES.format(space), talking["web"]
    api.create(path, policy("closed", "closed"))
    assert ask(shared, "stranger", web, PORT) == ["web"]
    pod = f"/api/v1/namespaces/{space}/pods/web"
    api.patch(pod, {"metadata": {"labels": {"app": "closed"}}})
    await until(lambda: ask(shared, "stranger", web, PORT) == [""])
    api.patch(pod, {"metadata": {"labels": {"app": "web"}}})
    await until(lambda: ask(shared, "stranger", web, PORT) == ["web"])
