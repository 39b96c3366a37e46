"""Ranges of pod addresses: each node has one, no two meet."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.controllers.ipam.plan import Exhausted, choose

CLUSTER = IPv4Network("10.244.0.0/16")


def node(name: str, network: str = "", created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    spec = {"podCIDR": network, "podCIDRs": [network]} if network else {}
    return {"metadata": {"name": name, "creationTimestamp": created}, "spec": spec}


def test_older_nodes_come_first_and_taken_ranges_are_left_alone() -> None:
    nodes = [node("b", created="2026-01-02T00:00:00Z"), node("a"), node("c", "10.244.0.0/24")]
    assert choose(nodes, CLUSTER) == {"a": "10.244.1.0/24", "b": "10.244.2.0/24"}


def test_a_larger_range_by_hand_is_left_alone() -> None:
    assert choose([node("a", "10.244.0.0/22"), node("b")], CLUSTER) == {"b": "10.244.4.0/24"}


def test_nodes_that_go_away_get_none() -> None:
    going = node("a")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert choose([going], CLUSTER) == {}


def test_a_full_network_says_so() -> None:
    small = IPv4Network("10.244.0.0/23")
    with pytest.raises(Exhausted, match=r"no range of 10\.244\.0\.0/23 is left for node c"):
        choose([node("a"), node("b"), node("c")], small)


@given(st.lists(st.integers(0, 255), unique=True, max_size=20), st.integers(0, 20))
def test_no_two_nodes_meet(taken: list[int], new: int) -> None:
    nodes = [node(f"old-{number}", f"10.244.{number}.0/24") for number in taken]
    found = choose([*nodes, *(node(f"new-{number}") for number in range(new))], CLUSTER)
    every = [*(f"10.244.{number}.0/24" for number in taken), *found.values()]
    assert len(found) == new
    assert len(set(every)) == len(every)
