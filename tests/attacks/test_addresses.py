"""Making the platform connect to where the attacker cannot: addresses in objects, and what a server fetches by itself."""

from __future__ import annotations

import pytest

from moorage_tenants.authentication.oidc.fetch import Fetcher, FetchError
from tests.attacks.arena import Arena, pod
from tests.attacks.caller import refused
from tests.attacks.forgery import Signer
from tests.attacks.issuer import Issuer, lying_issuer
from tests.support.certificates import Certificates
from tests.support.rest import Document

INSIDE = ("169.254.169.254", "127.0.0.1", "::1", "0.0.0.0", "10.96.0.1")
NETWORKING = "networking.k8s.io/v1"


def service(name: str, **spec: object) -> Document:
    """A Service with a port."""
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def test_services_that_point_elsewhere(arena: Arena) -> None:
    """Names and addresses outside of a tenant's own pods are an administrator's to allow."""
    attacker, mallory = arena.attacker, arena.mallory
    path = attacker.at("services")
    for address in INSIDE:
        refused(mallory.send("POST", path, service("x", externalIPs=[address])), 403, 422)
        refused(mallory.send("POST", path, service("x", type="LoadBalancer", loadBalancerIP=address)), 403, 422)
        refused(mallory.send("POST", path, service("x", type="NodePort")))
        refused(mallory.send("POST", path, service("x", clusterIP=address, clusterIPs=[address])), 403, 422)
    mallory.create(path, service("plain"))
    for change in (
        {"externalIPs": ["127.0.0.1"]},
        {"type": "NodePort"},
        {"clusterIP": "127.0.0.1", "clusterIPs": ["127.0.0.1"]},
    ):
        refused(mallory.merge(attacker.at("services", "plain"), {"spec": change}), 403, 422)
    # A name for a name: nothing of the platform connects there, and it has no address.
    named = {"metadata": {"name": "named"}, "spec": {"type": "ExternalName", "externalName": "metadata.example.test"}}
    assert "clusterIP" not in mallory.create(path, named)["spec"]
    refused(
        mallory.merge(
            attacker.at("services", "plain/status"), {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}}
        )
    )


def test_endpoints_are_not_written_by_hand(arena: Arena) -> None:
    """Where a Service leads follows from pods: neither Endpoints nor slices are an owner's (CVE-2021-25740)."""
    attacker, mallory = arena.attacker, arena.mallory
    for address in INSIDE:
        endpoints = {
            "metadata": {"name": "plain"},
            "subsets": [{"addresses": [{"ip": address}], "ports": [{"port": 80}]}],
        }
        refused(mallory.send("POST", attacker.at("endpoints"), endpoints))
        refused(mallory.send("PUT", attacker.at("endpoints", "plain"), endpoints))
        slices: Document = {
            "metadata": {"name": "plain-x", "labels": {"kubernetes.io/service-name": "plain"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"port": 80}],
        }
        refused(mallory.send("POST", attacker.at("endpointslices", group="discovery.k8s.io/v1"), slices))


def test_an_address_of_anothers_service_is_not_taken(arena: Arena) -> None:
    victim, mallory = arena.victim, arena.mallory
    taken = victim.caller.create(victim.at("services"), service("shop"))["spec"]["clusterIP"]
    refused(mallory.send("POST", arena.attacker.at("services"), service("thief", clusterIP=taken)), 422, 403)
    claim = {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": taken}, "spec": {}}
    refused(mallory.send("POST", f"/apis/{NETWORKING}/ipaddresses", claim))
    refused(mallory.send("DELETE", f"/apis/{NETWORKING}/ipaddresses/{taken}"))


@pytest.mark.parametrize("handler", ["livenessProbe", "readinessProbe", "startupProbe", "postStart", "preStop"])
def test_probes_and_hooks_of_other_hosts(arena: Arena, handler: str) -> None:
    """The agent calls from the node's own network, so a host other than the pod's is refused."""
    for kind, action in (
        ("httpGet", {"port": 80, "host": "169.254.169.254", "path": "/latest"}),
        ("tcpSocket", {"port": 22, "host": "127.0.0.1"}),
    ):
        container: Document = {"name": "main", "image": "x"}
        if handler in ("postStart", "preStop"):
            container["lifecycle"] = {handler: {kind: action}}
        else:
            container[handler] = {kind: action}
        refused(arena.mallory.send("POST", arena.attacker.at("pods"), pod("probe", containers=[container])), 403, 422)


def test_proxies_of_the_api_server(arena: Arena) -> None:
    """The API server's own connections reach no address that a request names."""
    attacker = arena.attacker
    for caller in (arena.mallory, arena.robot, arena.node):
        for path in (
            "/api/v1/nodes/test-node/proxy/",
            "/api/v1/nodes/https:test-node:10250/proxy/pods",
            "/api/v1/nodes/169.254.169.254/proxy/",
            "/api/v1/proxy/nodes/test-node/",
            f"{arena.victim.at('services', 'shop')}/proxy/",
        ):
            refused(caller.send("GET", path), 403, 404)
        for name in ("http:169.254.169.254:80", "plain:80", "127.0.0.1"):
            answer = caller.send("GET", f"{attacker.at('services', name)}/proxy/")
            assert answer.code in (403, 404, 405, 501, 503), answer.text
    who = f"Authorization: Bearer {arena.mallory.token}\r\n"
    absolute = f"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n{who}\r\n"
    got = arena.mallory.raw(absolute.encode(), seconds=10)
    assert got.split(b" ", 2)[1] in (b"400", b"403", b"404"), got
    tunnel = f"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n{who}\r\n"
    got = arena.mallory.raw(tunnel.encode(), seconds=10)
    assert b" 200" not in got[:20], got


async def test_what_an_issuers_metadata_may_name(certificates: Certificates) -> None:
    """The issuer's own host and public addresses, over TLS, without redirects, and little of it."""
    with lying_issuer(certificates) as issuer:
        issuer.documents["/trap"] = {"keys": [Signer.new("x").public_jwk()]}
        issuer.documents["/moved"] = (302, {"Location": f"{issuer.elsewhere}/trap"})
        issuer.documents["/large"] = {"keys": ["x" * (1 << 20)]}
        fetcher = Fetcher(certificates.ca.read_text(), "127.0.0.1")
        try:
            assert await fetcher.json(f"{issuer.url}/trap")
            for url in _addresses(issuer):
                with pytest.raises(FetchError):
                    await fetcher.json(url)
        finally:
            await fetcher.close()
        assert not [each for each in issuer.asked if each.startswith("localhost")]


def _addresses(issuer: Issuer) -> list[str]:
    port = issuer.url.rpartition(":")[2]
    named = [
        f"https://{host}:{port}/trap"
        for host in ("localhost", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433")
    ]
    return [
        *named,
        f"{issuer.url}/moved",
        f"{issuer.url}/large",
        f"http://127.0.0.1:{port}/trap",
        "file:///etc/passwd",
        f"https://user:password@127.0.0.1:{port}/trap",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
    ]
