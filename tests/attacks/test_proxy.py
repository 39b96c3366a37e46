"""Reaching another tenant, the platform itself or the network behind it through the ``/proxy`` of pods and services."""

from __future__ import annotations

from tests.attacks.arena import NAMESPACES, Arena, pod
from tests.support.rest import Answer, Document

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
INSIDE = ("127.0.0.1", "169.254.169.254", "10.96.0.1")


def silent(arena: Arena, answer: Answer) -> Answer:
    """The answer, which tells nothing of the victim's and is no program's."""
    assert arena.canary not in answer.text
    return answer


def service(name: str, **spec: object) -> Document:
    """A Service without a selector."""
    return {"metadata": {"name": name}, "spec": {"ports": [{"name": "p", "port": 80}], **spec}}


def piece(arena: Arena, name: str, service_name: str, address: str, **endpoint: object) -> Document:
    """An EndpointSlice that leads to ``address``, at the port of the API server."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service_name}},
        "addressType": "IPv4",
        "ports": [{"name": "p", "port": arena.installation.port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}, **endpoint}],
    }


def test_nothing_of_anothers_through_proxies(arena: Arena) -> None:
    """By the path and by its names; by services of one's own that lead elsewhere, whoever wrote the endpoints."""
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    arena.admin.create(victim.at("services"), service("web"))
    mallory.create(attacker.at("pods"), pod("own"))
    own = attacker.at("pods", "own")
    for who in (mallory, arena.robot, arena.node):
        for method in METHODS:
            for name in ("web", "http:web:80", "https:web:443", "web:p", "nobody"):
                for plural in ("pods", "services"):
                    for rest in ("", "/", "/x?y=/z"):
                        answer = silent(arena, who.send(method, f"{victim.at(plural, name)}/proxy{rest}"))
                        assert answer.code == 403, (method, plural, name, answer)
    elsewhere = (
        f"{own}/proxy/../../../../{victim.namespace}/secrets/db",
        f"{own}/proxy/..%2F..%2F..%2F{victim.namespace}%2Fpods%2Fweb",
        f"{NAMESPACES}/{attacker.namespace}/pods/..%2F..%2F{victim.namespace}%2Fpods%2Fweb/proxy/",
        f"{NAMESPACES}/{attacker.namespace}/pods/{victim.namespace}.web/proxy/",
        f"{NAMESPACES}/{attacker.namespace}/pods/http:127.0.0.1:80/proxy/",
        f"{NAMESPACES}/{attacker.namespace}/pods/own:80@127.0.0.1/proxy/",
        f"{NAMESPACES}/{attacker.namespace}/services/kubernetes:443/proxy/",
    )
    for path in elsewhere:
        assert silent(arena, mallory.send("GET", path)).code in (400, 403, 404, 503), path
    _services_that_lead_elsewhere(arena)


def _services_that_lead_elsewhere(arena: Arena) -> None:
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    slices = attacker.at("endpointslices", group="discovery.k8s.io/v1")
    uid = arena.admin.get(victim.at("pods", "web"))["metadata"]["uid"]
    foreign = {"kind": "Pod", "namespace": victim.namespace, "name": "web", "uid": uid}
    claimed = {"kind": "Pod", "namespace": attacker.namespace, "name": "own"}
    # The API's own name, under which its certificate and its loopback address are.
    mallory.send("POST", attacker.at("services"), service("named", type="ExternalName", externalName="localhost"))
    names = ["named"]
    for number, address in enumerate(INSIDE):
        for kind, endpoint in (("bare", {}), ("foreign", {"targetRef": foreign}), ("claimed", {"targetRef": claimed})):
            name = f"{kind}-{number}"
            mallory.create(attacker.at("services"), service(name))
            wanted = piece(arena, name, name, address, **endpoint)
            assert mallory.send("POST", slices, wanted).code == 403
            # Loopback and link-local addresses are refused even where an administrator writes them.
            assert arena.admin.send("POST", slices, wanted).code in (201, 422)
            names.append(name)
    for name in names:
        for asked in (f"{name}:p", f"{name}:80", f"https:{name}:p"):
            answer = silent(arena, mallory.send("GET", f"{attacker.at('services', asked)}/proxy/version"))
            assert answer.code == 503, (asked, answer)
            assert "no endpoints available" in answer.text, (asked, answer)
