"""Which Service gets which address of the pool."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from moorage.controllers.loadbalancers.plan import changes

POOL = [IPv4Network("203.0.113.8/30")]


def service(name: str, address: str = "", kind: str = "LoadBalancer", **spec: Any) -> dict[str, Any]:
    points = [{"ip": address}] if address else []
    metadata = {"namespace": "a", "name": name, "creationTimestamp": f"2026-01-01T00:00:0{len(name)}Z"}
    return {"metadata": metadata, "spec": {"type": kind, **spec}, "status": {"loadBalancer": {"ingress": points}}}


def decided(*services: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    found = changes(services, POOL)
    return {each.service["metadata"]["name"]: (each.address, bool(each.problem)) for each in found}


def test_each_gets_its_own_and_older_ones_come_first() -> None:
    assert decided(service("bb"), service("a")) == {"a": ("203.0.113.9", False), "bb": ("203.0.113.10", False)}


def test_who_has_an_address_keeps_it() -> None:
    assert decided(service("bb"), service("a", "203.0.113.9")) == {"bb": ("203.0.113.10", False)}


def test_an_address_that_is_asked_for_is_given_where_it_is_free() -> None:
    asked = {"loadBalancerIP": "203.0.113.10"}
    assert decided(service("a", **asked)) == {"a": ("203.0.113.10", False)}
    assert decided(service("a", **asked), service("bb", **asked))["bb"] == ("", True)
    assert decided(service("a", loadBalancerIP="192.0.2.1")) == {"a": ("", True)}


def test_a_full_pool_says_so() -> None:
    full = [service("a", "203.0.113.9"), service("bb", "203.0.113.10")]
    assert decided(*full, service("ccc")) == {"ccc": ("", True)}


def test_a_service_of_another_type_loses_its_address_and_frees_it() -> None:
    found = decided(service("a", "203.0.113.9", kind="ClusterIP"), service("bb"))
    assert found == {"a": ("", False), "bb": ("203.0.113.9", False)}


def test_what_is_not_ours_is_left_alone() -> None:
    assert decided(service("a", "192.0.2.1", kind="ClusterIP"), service("bb", "192.0.2.2")) == {}
    assert decided(service("a", loadBalancerClass="example.com/own")) == {}
