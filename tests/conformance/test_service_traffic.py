"""What Services do with UDP, with pods that end, with clients that stay, and what they answer load balancers, on real pods."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from moorage_agent.identity import cluster_uid
from moorage_agent.network.names import names
from moorage_agent.network.nft.batch import Batch
from moorage_agent.network.nft.kernel import Kernel
from moorage_agent.network.rules import base
from tests.conformance.talkers import TCP, UDP, asked, names_of, talker
from tests.conformance.traffic import look_up
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.rest import Document, Rest
from tests.support.wait import until

NODE = "test-node"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


@pytest.fixture(scope="module")
def pods(api: Rest, shared: Kubectl, space: str, image: str) -> dict[str, str]:
    """Two talkers and a third one that asks; addresses by name."""
    path = f"/api/v1/namespaces/{space}/pods"
    for name in ("one", "two"):
        api.create(path, talker(image, name, NODE))
    api.create(path, talker(image, "asks", NODE, app="asks"))
    shared("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    return {name: api.get(f"{path}/{name}")["status"]["podIP"] for name in ("one", "two", "asks")}


def made(api: Rest, space: str, name: str, **spec: Any) -> Document:
    """A Service of ``app=web``: 80 is TCP, 81 is UDP."""
    ports = [
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "udp", "port": 81, "targetPort": "udp", "protocol": "UDP"},
    ]
    body = {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": ports, **spec}}
    return api.create(f"/api/v1/namespaces/{space}/services", body)


async def test_pods_reach_each_other_by_udp(shared: Kubectl, pods: dict[str, str]) -> None:
    for name in ("one", "two"):
        wanted = [f"{name} {pods['asks']}"]
        await until(partial(_answers_by_udp, shared, pods[name], wanted))


def _answers_by_udp(kubectl: Kubectl, address: str, wanted: list[str]) -> bool:
    return asked(kubectl, "asks", address, UDP, udp=True) == wanted


async def test_a_udp_service_leads_clients_on_when_their_pod_is_gone(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str]
) -> None:
    spec = made(api, space, "moving", type="NodePort", selector={"name": "one"})["spec"]
    node = api.get(f"/api/v1/nodes/{NODE}")["status"]["addresses"][0]["address"]
    points = [(spec["clusterIP"], 81, 40_081), (node, spec["ports"][1]["nodePort"], 40_082)]

    def all_answer(name: str) -> bool:
        # Always from one port: for the kernel this is one flow, which does not end by itself.
        found = [asked(shared, "asks", host, port, udp=True, own=own) for host, port, own in points]
        return all(names_of(answers) == {name} for answers in found)

    await until(lambda: all_answer("one"))
    api.patch(f"/api/v1/namespaces/{space}/services/moving", {"spec": {"selector": {"name": "two"}}})
    await until(lambda: all_answer("two"), timeout=20)


async def test_pods_that_end_serve_on_while_nobody_else_does(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str], image: str
) -> None:
    hook = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "60"]}}}}
    path = f"/api/v1/namespaces/{space}/pods"
    api.create(path, talker(image, "ending", NODE, app="ending", container=hook, terminationGracePeriodSeconds=60))
    shared("wait", "--for=condition=Ready", "pod/ending", "--timeout=60s")
    address = made(api, space, "last", selector={"app": "ending"})["spec"]["clusterIP"]
    await until(lambda: names_of(asked(shared, "asks", address, 80)) == {"ending"})
    shared("delete", "pod", "ending", "--wait=false")

    def conditions() -> list[Document]:
        found = api.get(SLICES.format(space), labelSelector="kubernetes.io/service-name=last")["items"]
        return [each["conditions"] for piece in found for each in piece["endpoints"]]

    await until(lambda: conditions() == [{"ready": False, "serving": True, "terminating": True}])
    assert names_of(asked(shared, "asks", address, 80, times=5)) == {"ending"}
    api.create(path, talker(image, "fresh", NODE, app="ending"))
    await until(lambda: names_of(asked(shared, "asks", address, 80)) == {"fresh"})
    assert names_of(asked(shared, "asks", address, 80, times=10)) == {"fresh"}
    shared("delete", "pod", "ending", "--force", "--grace-period=0")


async def test_clients_stay_for_as_long_as_the_service_says(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str]
) -> None:
    config = {"clientIP": {"timeoutSeconds": 1}}
    address = made(api, space, "short", sessionAffinity="ClientIP", sessionAffinityConfig=config)["spec"]["clusterIP"]
    await until(lambda: names_of(asked(shared, "asks", address, 80)) <= {"one", "two"})
    assert len(names_of(asked(shared, "asks", address, 80, times=20))) == 1
    # After a second without a connection the client is forgotten, so that some time it gets the other pod.
    await until(
        lambda: len(names_of([asked(shared, "asks", address, 80)[0], _later(shared, address)])) == 2, timeout=60
    )


def _later(kubectl: Kubectl, address: str) -> str:
    begun = time.monotonic()
    while time.monotonic() - begun < 1.2:
        kubectl("exec", "asks", "--", "true")
    return asked(kubectl, "asks", address, 80)[0]


async def test_load_balancers_are_told_which_nodes_have_pods(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str]
) -> None:
    spec = made(api, space, "balanced", type="LoadBalancer", externalTrafficPolicy="Local")["spec"]
    number = spec["healthCheckNodePort"]
    await until(lambda: _asked_health(number) == (200, 2))
    path = f"/api/v1/namespaces/{space}/services/balanced"
    api.patch(path, {"spec": {"selector": {"app": "nobody"}}})
    await until(lambda: _asked_health(number) == (503, 0))
    api.patch(path, {"spec": {"externalTrafficPolicy": "Cluster"}})
    await until(lambda: _asked_health(number) is None)


def _asked_health(number: int) -> tuple[int, int] | None:
    """Code and number of pods that the node answers; None for no answer."""
    weight = "X-Load-Balancing-Endpoint-Weight"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{number}/", timeout=5) as answer:
            return answer.status, int(answer.headers[weight])
    except urllib.error.HTTPError as error:
        with error:
            return error.code, int(error.headers[weight])
    except OSError:
        return None


async def test_an_address_of_a_load_balancer_is_served_to_those_who_may(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str]
) -> None:
    address = "203.0.113.9"
    made(api, space, "public", type="LoadBalancer")
    path = f"/api/v1/namespaces/{space}/services/public"
    api.patch(f"{path}/status", {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}})
    await until(lambda: names_of(asked(shared, "asks", address, 80)) <= {"one", "two"})
    await until(lambda: names_of(asked(shared, "asks", address, 81, udp=True)) <= {"one", "two"})
    api.patch(path, {"spec": {"loadBalancerSourceRanges": ["198.51.100.0/24"]}})
    await until(lambda: asked(shared, "asks", address, 80) == [""])
    own = api.get(path)["spec"]["clusterIP"]
    assert names_of(asked(shared, "asks", own, 80)) <= {"one", "two"}
    api.patch(path, {"spec": {"loadBalancerSourceRanges": ["198.51.100.0/24", f"{pods['asks']}/32"]}})
    await until(lambda: names_of(asked(shared, "asks", address, 80)) <= {"one", "two"})


async def test_a_pod_reaches_itself_through_its_service(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str]
) -> None:
    address = made(api, space, "mirror", selector={"name": "one"})["spec"]["clusterIP"]
    await until(lambda: names_of(asked(shared, "one", address, 80)) == {"one"})
    assert names_of(asked(shared, "one", address, 81, udp=True)) == {"one"}


async def test_an_external_address_is_served_for_udp_too(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str]
) -> None:
    made(api, space, "external", externalIPs=["203.0.113.8"])
    await until(lambda: names_of(asked(shared, "asks", "203.0.113.8", 80)) <= {"one", "two"})
    await until(lambda: names_of(asked(shared, "asks", "203.0.113.8", 81, udp=True)) <= {"one", "two"})


async def test_endpoints_may_have_ports_and_addresses_of_their_own(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str]
) -> None:
    address = made(api, space, "manual", selector=None)["spec"]["clusterIP"]
    for name, family in (("one", "IPv4"), ("two", "IPv4"), ("six", "IPv6")):
        piece = {
            "metadata": {"name": f"manual-{name}", "labels": {"kubernetes.io/service-name": "manual"}},
            "addressType": family,
            "endpoints": [{"addresses": [pods.get(name, "2001:db8::1")]}],
            "ports": [
                {"name": "http", "port": TCP, "protocol": "TCP"},
                {"name": "udp", "port": UDP, "protocol": "UDP"},
            ],
        }
        api.create(SLICES.format(space), piece)
    await until(lambda: names_of(asked(shared, "asks", address, 80, times=16)) == {"one", "two"})
    await until(lambda: names_of(asked(shared, "asks", address, 81, udp=True, times=16)) == {"one", "two"})


async def test_pods_that_are_not_ready_are_named_where_the_service_says_so(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str], image: str
) -> None:
    never = {"readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 60}}
    path = f"/api/v1/namespaces/{space}/pods"
    place = {"hostname": "young", "subdomain": "early"}
    api.create(path, talker(image, "young", NODE, app="young", container=never, **place))
    selector = {"app": "young"}
    made(api, space, "early", selector=selector, clusterIP="None", publishNotReadyAddresses=True)
    made(api, space, "late", selector=selector, clusterIP="None")
    address = await until(lambda: api.get(f"{path}/young")["status"].get("podIP"))
    for name in ("early", "young.early"):
        await until(partial(_resolves, shared, f"{name}.{space}.svc.cluster.local", address))
    assert "NXDOMAIN" in look_up(shared, "asks", f"late.{space}.svc.cluster.local")
    dashed = address.replace(".", "-")
    assert address in look_up(shared, "asks", f"{dashed}.{space}.pod.cluster.local")
    backwards = ".".join(reversed(address.split(".")))
    assert f"young.early.{space}.svc.cluster.local" in look_up(shared, "asks", f"{backwards}.in-addr.arpa", "ptr")
    ports = look_up(shared, "asks", f"_udp._udp.early.{space}.svc.cluster.local", "srv")
    assert f"{UDP} young.early.{space}.svc.cluster.local" in ports


def _resolves(kubectl: Kubectl, name: str, address: str) -> bool:
    return address in look_up(kubectl, "asks", name)


async def test_what_others_take_away_from_the_node_comes_back(
    api: Rest, shared: Kubectl, space: str, pods: dict[str, str], installation: Installation
) -> None:
    own = names(cluster_uid((installation.data_dir / "pki" / "ca.crt").read_text()), NODE)
    one = api.get(f"/api/v1/namespaces/{space}/pods/one")
    address = made(api, space, "lasting")["spec"]["clusterIP"]

    def works() -> bool:
        direct, served = (asked(shared, "asks", host, port) for host, port in ((pods["one"], TCP), (address, 80)))
        named = look_up(shared, "asks", f"lasting.{space}.svc.cluster.local")
        return names_of(direct) == {"one"} and names_of(served) <= {"one", "two"} and address in named

    await until(works)
    for harm in (
        partial(ip, "link", "del", own.interface(one["metadata"]["uid"])),
        partial(ip, "link", "del", own.gateway),
        partial(change_rules, own.table, lambda batch: batch.delete_table()),
        partial(change_rules, own.table, lambda batch: batch.flush_chain(base.SERVICES)),
    ):
        harm()
        await until(works)
    # An agent that starts finds what was taken away while there was none, and takes up where the killed one ended.
    agent = next(each for each in parts(installation) if each["name"] == f"agent/{NODE}")["pid"]
    os.kill(agent, signal.SIGKILL)
    for harm in (
        partial(ip, "link", "del", own.interface(one["metadata"]["uid"])),
        partial(ip, "link", "del", own.gateway),
        partial(change_rules, own.table, lambda batch: batch.delete_table()),
    ):
        harm()
    await until(works, timeout=60)
    now = api.get(f"/api/v1/namespaces/{space}/pods/one")["status"]
    assert now["podIP"] == pods["one"]
    assert now["containerStatuses"][0]["restartCount"] == 0


def parts(installation: Installation) -> list[Document]:
    """The processes of the installation, as the supervisor has them."""
    found: list[Document] = json.loads((installation.data_dir / "run" / "supervisor.json").read_text())["parts"]
    return found


def ip(*arguments: str) -> None:
    """Change something of the machine's network."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def change_rules(table: str, change: Callable[[Batch], None]) -> None:
    """Change a table of rules behind its owner's back."""
    batch, kernel = Batch(table), Kernel()
    change(batch)
    kernel.load(batch)
    kernel.close()
