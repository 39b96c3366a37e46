"""Which networks an installation chooses, and that two on one machine never have the same."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from moorage.supervisor import ranges
from moorage.supervisor.layout import Layout, SetupError


def made(folder: Path, name: str) -> Layout:
    layout = Layout.at(folder / name)
    layout.make()
    return layout


def test_alone_it_has_the_usual_networks() -> None:
    assert ranges.choose([]) == ("10.244.0.0/16", "10.96.0.0/16")


def test_what_is_taken_is_avoided() -> None:
    taken = [IPv4Network("10.244.7.0/24"), IPv4Network("10.96.0.0/12")]
    assert ranges.choose(taken) == ("10.128.0.0/16", "10.64.0.0/16")


def test_what_is_given_stays_and_is_avoided_by_the_other() -> None:
    assert ranges.choose([], pods="10.96.0.0/16") == ("10.96.0.0/16", "10.64.0.0/16")


def test_without_a_free_network_the_option_is_named() -> None:
    with pytest.raises(SetupError, match="--pod-cidr"):
        ranges.choose([IPv4Network("10.0.0.0/8")])


def test_two_given_networks_must_not_overlap() -> None:
    with pytest.raises(SetupError, match="overlap"):
        ranges.choose([], "10.0.0.0/8", "10.96.0.0/16")


@pytest.mark.parametrize(
    ("text", "what"), [("10.1.0.0/33", "/33"), ("10.1.2.3/16", "host bits"), ("10.1.0.0/25", "small")]
)
def test_a_network_that_cannot_be_is_refused(text: str, what: str) -> None:
    with pytest.raises(SetupError, match=what):
        ranges.network(text, "--pod-cidr")


def test_routes_of_the_machine_are_read() -> None:
    table = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert ranges.routed(table) == [IPv4Network("172.17.0.0/16")]


def test_servers_of_names_are_not_hidden_behind_pods() -> None:
    text = "# 10.1.1.1\nsearch lan\nnameserver 10.244.0.53\nnameserver fd00::1\nnameserver\n"
    assert ranges.resolvers(text) == [IPv4Network("10.244.0.53/32")]


def test_installations_of_one_machine_have_networks_of_their_own(tmp_path: Path) -> None:
    machine = tmp_path / "machine" / "ranges.json"
    one, two = made(tmp_path, "one"), made(tmp_path, "two")
    first, second = ranges.ensure(one, machine=machine), ranges.ensure(two, machine=machine)
    every = [IPv4Network(text) for each in (first, second) for text in each]
    assert not any(a.overlaps(b) for a in every for b in every if a is not b)
    assert ranges.ensure(one, machine=machine) == first
    machine.unlink()  # as after a restart of the machine
    assert ranges.ensure(two, machine=machine) == second
    assert list(json.loads(machine.read_text())) == [str(two.network)]


def test_the_networks_of_an_installation_stay(tmp_path: Path) -> None:
    layout = made(tmp_path, "one")
    found = ranges.ensure(layout, "10.7.0.0/16", machine=tmp_path / "machine.json")
    assert found.pods == "10.7.0.0/16"
    assert ranges.ensure(layout, "10.7.0.0/16", machine=tmp_path / "machine.json") == found
    with pytest.raises(SetupError, match=r"--pod-cidr 10\.8\.0\.0/16: the installation has 10\.7\.0\.0/16"):
        ranges.ensure(layout, "10.8.0.0/16", machine=tmp_path / "machine.json")


def test_an_installation_of_old_keeps_what_its_database_has(tmp_path: Path) -> None:
    layout = made(tmp_path, "old")
    (layout.root / "postgres").mkdir()
    assert ranges.ensure(layout, machine=tmp_path / "machine.json") == ("10.244.0.0/16", "10.96.0.0/16")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    layout = made(tmp_path, "broken")
    layout.network.write_text("[]")
    with pytest.raises(SetupError, match=r"network\.json cannot be read"):
        ranges.ensure(layout, machine=tmp_path / "machine.json")


def test_without_a_place_to_tell_others_routes_alone_count(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = ranges.ensure(made(tmp_path, "one"), machine=tmp_path / "file" / "ranges.json")
    assert IPv4Network(found.pods).prefixlen == 16
