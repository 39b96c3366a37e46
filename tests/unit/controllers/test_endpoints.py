"""What EndpointSlices and Endpoints say of pods."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.controllers.endpoints import classic, mirror, slices
from moorage.controllers.endpoints.found import Found, Port, look


def service(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "a", "uid": "s", "labels": {"app": "web"}},
        "spec": {
            "clusterIP": "10.96.0.9",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
            **spec,
        },
    }


def pod(name: str, ip: str, *, ready: bool = True, deleting: bool = False, port: int = 8080) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "a", "uid": f"uid-{name}", "labels": {"app": "web"}}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": metadata,
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}]}],
        },
        "status": {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def test_states_of_an_endpoint() -> None:
    pods = [pod("a", "10.0.0.1"), pod("b", "10.0.0.2", ready=False), pod("c", "10.0.0.3", deleting=True)]
    found = look(service(), pods, {"n1": "west"})
    assert [(each.ready, each.serving, each.terminating) for each in found] == [
        (True, True, False),
        (False, False, False),
        (False, True, True),
    ]
    assert {each.zone for each in found} == {"west"}


def test_publish_not_ready_addresses() -> None:
    pods = [pod("b", "10.0.0.2", ready=False), pod("c", "10.0.0.3", deleting=True)]
    found = look(service(publishNotReadyAddresses=True), pods, {})
    assert [(each.ready, each.serving, each.terminating) for each in found] == [
        (True, False, False),
        (True, True, True),
    ]
    listed = classic.plan(service(publishNotReadyAddresses=True), found, None)
    assert listed is not None
    assert [each["ip"] for each in listed["subsets"][0]["addresses"]] == ["10.0.0.2", "10.0.0.3"]


@pytest.mark.parametrize(
    ("distribution", "wanted"),
    [
        ("", [None, None]),
        ("PreferClose", [{"forZones": [{"name": "west"}]}, None]),
        ("PreferSameZone", [{"forZones": [{"name": "west"}]}, None]),
        ("PreferSameNode", [{"forNodes": [{"name": "n1"}], "forZones": [{"name": "west"}]}, None]),
    ],
)
def test_whom_endpoints_are_meant_for_first(distribution: str, wanted: list[dict[str, Any] | None]) -> None:
    near = service(trafficDistribution=distribution) if distribution else service()
    pods = [pod("a", "10.0.0.1"), pod("b", "10.0.0.2", ready=False)]
    (piece,) = slices.plan(near, look(near, pods, {"n1": "west"}), []).create
    assert [each.get("hints") for each in piece["endpoints"]] == wanted


def test_a_distribution_that_changes_is_written_into_the_slices() -> None:
    found = look(service(), [pod("a", "10.0.0.1")], {"n1": "west"})
    (piece,) = slices.plan(service(), found, []).create
    changed = slices.plan(service(trafficDistribution="PreferSameZone"), found, [piece]).update
    assert changed[0]["endpoints"][0]["hints"] == {"forZones": [{"name": "west"}]}
    assert slices.plan(service(), found, changed).update[0]["endpoints"] == piece["endpoints"]


def test_pods_that_are_no_endpoints() -> None:
    ended = pod("a", "10.0.0.1")
    ended["status"]["phase"] = "Succeeded"
    nowhere = pod("b", "")
    other = pod("c", "10.0.0.3")
    other["metadata"]["labels"] = {"app": "db"}
    foreign = pod("d", "10.0.0.4")
    foreign["metadata"]["namespace"] = "b"
    assert look(service(), [ended, nowhere, other, foreign], {}) == []


def test_a_named_port_differs_between_pods() -> None:
    found = look(service(), [pod("a", "10.0.0.1"), pod("b", "10.0.0.2", port=9090)], {})
    changes = slices.plan(service(), found, [])
    assert sorted(piece["ports"][0]["port"] for piece in changes.create) == [8080, 9090]
    listed = classic.plan(service(), found, None)
    assert listed is not None
    assert len(listed["subsets"]) == 2


def test_a_port_that_no_pod_names_is_left_out() -> None:
    ports = [{"name": "admin", "port": 81, "targetPort": "admin"}, {"name": "raw", "port": 82, "targetPort": 82}]
    found = look(service(ports=ports), [pod("a", "10.0.0.1")], {})
    assert found[0].ports == (Port("raw", 82, "TCP"),)


def test_hostnames_below_the_service() -> None:
    one = pod("a", "10.0.0.1")
    one["spec"] |= {"hostname": "first", "subdomain": "web"}
    other = pod("b", "10.0.0.2")
    other["spec"] |= {"hostname": "second", "subdomain": "elsewhere"}
    assert [each.hostname for each in look(service(clusterIP="None"), [one, other], {})] == ["first", ""]


def test_without_pods_there_is_one_empty_slice() -> None:
    changes = slices.plan(service(), [], [])
    assert len(changes.create) == 1
    assert changes.create[0]["endpoints"] == []
    assert changes.create[0]["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert not slices.plan(service(), [], as_stored(changes.create))


def as_stored(pieces: Any) -> list[dict[str, Any]]:
    return [{**piece, "metadata": {**piece["metadata"], "uid": piece["metadata"]["name"]}} for piece in pieces]


def entry(number: int) -> Found:
    ip = f"10.{number // 250}.0.{number % 250}"
    return Found(ip, (Port("", 80, "TCP"),), True, True, False, "n", "", "", ("a", f"p{number}", f"u{number}"))


def apply(state: dict[str, Any], changes: slices.Changes) -> None:
    for piece in as_stored([*changes.create, *changes.update]):
        assert piece["metadata"]["name"] in state or piece in as_stored(changes.create)
        state[piece["metadata"]["name"]] = piece
    for piece in changes.delete:
        del state[piece["metadata"]["name"]]


@given(st.lists(st.sets(st.integers(0, 400), max_size=350), min_size=1, max_size=5))
def test_slices_always_say_what_was_found(history: list[set[int]]) -> None:
    state: dict[str, Any] = {}
    for numbers in history:
        found = [entry(number) for number in sorted(numbers)]
        apply(state, slices.plan(service(), found, state.values()))
        held = [each["addresses"][0] for piece in state.values() for each in piece["endpoints"]]
        assert sorted(held) == sorted(each.address for each in found)
        assert all(len(piece["endpoints"]) <= slices.MOST for piece in state.values())
        assert not slices.plan(service(), found, state.values())
        assert state


def test_one_new_pod_changes_one_slice() -> None:
    state: dict[str, Any] = {}
    apply(state, slices.plan(service(), [entry(number) for number in range(250)], []))
    assert len(state) == 3
    changes = slices.plan(service(), [entry(number) for number in range(251)], state.values())
    assert (len(changes.create), len(changes.update), len(changes.delete)) == (0, 1, 0)


def test_more_than_a_thousand_are_cut_from_endpoints() -> None:
    listed = classic.plan(service(), [entry(number) for number in range(1100)], None)
    assert listed is not None
    assert sum(len(subset["addresses"]) for subset in listed["subsets"]) == 1000
    assert listed["metadata"]["annotations"] == {"endpoints.kubernetes.io/over-capacity": "truncated"}


def test_unready_addresses_are_listed_apart() -> None:
    found = look(service(), [pod("a", "10.0.0.1"), pod("b", "10.0.0.2", ready=False)], {})
    listed = classic.plan(service(), found, None)
    assert listed is not None
    (subset,) = listed["subsets"]
    assert [each["ip"] for each in subset["addresses"]] == ["10.0.0.1"]
    assert [each["ip"] for each in subset["notReadyAddresses"]] == ["10.0.0.2"]
    assert classic.plan(service(), found, listed) is None


def test_endpoints_by_hand_are_mirrored() -> None:
    by_hand: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "db", "namespace": "a", "uid": "e"},
        "subsets": [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 5432, "protocol": "TCP"}]}],
    }
    bare = {"spec": {"ports": [{"port": 5432}]}}
    assert mirror.mirrors(by_hand, bare)
    assert not mirror.mirrors(by_hand, service())
    assert not mirror.mirrors(by_hand, None)
    skipped = {**by_hand, "metadata": {**by_hand["metadata"], "labels": {mirror.SKIP: "true"}}}
    assert not mirror.mirrors(skipped, bare)
    (made,) = mirror.plan(by_hand, []).create
    assert made["endpoints"] == [{"addresses": ["192.0.2.7"], "conditions": {"ready": True}}]
    assert made["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == mirror.CONTROLLER
    assert mirror.plan({**by_hand, "subsets": []}, as_stored([made])).delete
