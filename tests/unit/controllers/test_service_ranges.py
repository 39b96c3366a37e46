"""Which ranges of Services' addresses may go, and which addresses are held for nobody or by nothing."""

from __future__ import annotations

from typing import Any

from moorage.controllers.servicecidrs import plan

NOW = 1_767_225_600.0


def cidr(name: str, *ranges: str, leaving: bool = False, **status: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "uid": f"uid-{name}"}
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata, "spec": {"cidrs": list(ranges)}, "status": status}


def service(name: str, *addresses: str, **spec: Any) -> dict[str, Any]:
    whole = {"clusterIP": addresses[0] if addresses else None, "clusterIPs": list(addresses), **spec}
    return {"metadata": {"namespace": "a", "name": name}, "spec": whole}


def held(address: str, name: str = "web", managed: bool = True) -> dict[str, Any]:
    document = plan.address_document(service(name), address)
    document["metadata"]["labels"] = document["metadata"]["labels"] if managed else {}
    return document


def test_a_range_stays_while_only_it_holds_an_address() -> None:
    small, wide = cidr("small", "10.2.1.0/24", leaving=True), cidr("wide", "10.2.0.0/16")
    addresses = [held("10.2.1.9"), held("10.3.0.1"), held("10.2.1.10", managed=False)]
    assert plan.used(small, [small], addresses) == ["10.2.1.9"]
    assert plan.used(small, [small, wide], addresses) == []
    assert plan.used(small, [small, cidr("wide", "10.2.0.0/16", leaving=True)], addresses) == ["10.2.1.9"]
    assert plan.used(small, [small], []) == []
    both = cidr("both", "10.2.1.0/24", "2001:db8::/112")
    assert plan.used(both, [both, wide], [*addresses, held("2001:db8::9")]) == ["2001:db8::9"]


def test_conditions_are_written_once() -> None:
    said = plan.ready(cidr("a", "10.2.0.0/16"), NOW)
    assert said is not None
    assert (said["status"], said["lastTransitionTime"]) == ("True", "2026-01-01T00:00:00Z")
    known = cidr("a", "10.2.0.0/16", conditions=[said])
    assert plan.ready(known, NOW + 60) is None
    kept = plan.kept(known, NOW + 60)
    assert kept is not None
    assert (kept["status"], kept["reason"], kept["lastTransitionTime"]) == (
        "False",
        "Terminating",
        "2026-01-01T00:01:00Z",
    )
    assert plan.kept(cidr("a", "10.2.0.0/16", conditions=[kept]), NOW + 90) is None


def test_addresses_without_an_object_and_objects_without_a_service() -> None:
    services = [
        service("web", "10.2.0.9"),
        service("db", "None"),
        service("out", type="ExternalName"),
        service("two", "10.2.0.8"),
    ]
    assert plan.missing(services, [held("10.2.0.9")]) == [(services[3], "10.2.0.8")]
    wrong = [held("10.2.0.7"), held("10.2.0.8", "web")]
    assert plan.orphaned(services, [held("10.2.0.9"), *wrong]) == wrong
    assert plan.orphaned(services, [held("10.2.0.9"), held("10.2.0.7", managed=False)]) == []
