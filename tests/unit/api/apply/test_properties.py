"""What every sequence of applies and updates keeps."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.api.apply.fieldsets import difference
from moorage.api.apply.merging import remove
from moorage.api.apply.walking import compare, mentioned
from moorage.api.errors import ApiError
from moorage.api.structure import structure_of
from moorage.resources.kind import Document
from tests.unit.api.apply.objects import World, deployment
from tests.unit.api.kinds import DEPLOYMENT

STRUCTURE = structure_of(DEPLOYMENT.schema)
SMALL = st.integers(0, 3)
NAMES = st.sampled_from("abc")

PORTS = st.lists(
    st.fixed_dictionaries({"containerPort": st.sampled_from([80, 443])}, optional={"name": NAMES}),
    unique_by=lambda port: port["containerPort"],
    max_size=2,
)
ENV = st.lists(st.fixed_dictionaries({"name": NAMES, "value": NAMES}), unique_by=lambda each: each["name"], max_size=2)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "image": st.sampled_from(["nginx:1", "nginx:2"])},
        optional={"ports": PORTS, "env": ENV, "args": st.lists(NAMES, min_size=1, max_size=2)},
    ),
    unique_by=lambda each: each["name"],
    max_size=3,
)


@st.composite
def configs(draw: st.DrawFn) -> Document:
    """A Deployment with some of the fields that there are."""
    spec: dict[str, Any] = {}
    for name in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if draw(st.booleans()):
            spec[name] = draw(SMALL)
    config = deployment(**spec)
    config["metadata"]["annotations"] = draw(st.dictionaries(NAMES, NAMES, max_size=2))
    config["spec"]["template"]["spec"]["containers"] = draw(CONTAINERS)
    return config


def holds(value: Any, wanted: Any) -> bool:
    """Whether ``value`` has everything that ``wanted`` says; lists of named items by name."""
    if isinstance(wanted, dict):
        return all((key in value and holds(value[key], each)) or each in ({}, []) for key, each in wanted.items())
    if isinstance(wanted, list) and wanted and isinstance(wanted[0], dict):
        key = "name" if all("name" in each for each in wanted) else "containerPort"
        if key == "name" and "containerPort" in wanted[0]:
            key = "containerPort"
        found = {each[key]: each for each in value if key in each}
        return all(each[key] in found and holds(found[each[key]], each) for each in wanted)
    return bool(value == wanted)


def history(steps: list[tuple[Document, str]]) -> World:
    world = World()
    for config, manager in steps:
        world.apply(config, manager, force=True)
    return world


STEPS = st.lists(st.tuples(configs(), st.sampled_from(["alice", "bert", "carol"])), max_size=4)


@settings(max_examples=60, deadline=None)
@given(STEPS, configs())
def test_applying_twice_changes_nothing(steps: list[tuple[Document, str]], config: Document) -> None:
    world = history(steps)
    once = copy.deepcopy(world.apply(config, "alice", force=True))
    assert world.apply(config, "alice") == once


@settings(max_examples=60, deadline=None)
@given(STEPS, configs())
def test_what_is_applied_is_there(steps: list[tuple[Document, str]], config: Document) -> None:
    assert holds(history(steps).apply(config, "alice", force=True), config)


@settings(max_examples=60, deadline=None)
@given(STEPS, configs())
def test_an_applier_owns_what_it_applied(steps: list[tuple[Document, str]], config: Document) -> None:
    world = history(steps)
    world.apply(config, "alice", force=True)
    assert difference(mentioned(config, STRUCTURE), world.fields("alice")) == {}


@settings(max_examples=60, deadline=None)
@given(configs(), configs())
def test_a_lone_applier_gets_exactly_its_config(first: Document, second: Document) -> None:
    direct, detour = World(), World()
    direct.apply(second, "alice")
    detour.apply(first, "alice")
    detour.apply(second, "alice")
    assert direct.live is not None
    assert detour.live is not None
    assert detour.live["spec"] == direct.live["spec"]


@settings(max_examples=60, deadline=None)
@given(configs(), configs())
def test_an_apply_takes_nothing_from_others_without_force(first: Document, second: Document) -> None:
    world = World()
    world.apply(first, "bert")
    before = world.fields("bert")
    with contextlib.suppress(ApiError):
        world.apply(second, "alice")
    assert world.live is not None
    assert world.fields("bert") == before
    assert holds(world.live, first)


@settings(max_examples=60, deadline=None)
@given(configs(), configs())
def test_comparing_is_consistent(old: Document, new: Document) -> None:
    there, back = compare(old, new, STRUCTURE), compare(new, old, STRUCTURE)
    assert there.added == back.removed
    assert there.removed == back.added
    assert there.modified == back.modified
    assert compare(old, old, STRUCTURE).same


@settings(max_examples=60, deadline=None)
@given(configs())
def test_removing_all_that_is_mentioned_leaves_nothing_of_it(config: Document) -> None:
    left = remove(config, mentioned(config, STRUCTURE), STRUCTURE) or {}
    assert mentioned(left, STRUCTURE, strict=False).get("f:spec", {}).get("f:replicas") is None
    rest = left.get("spec") or {}
    containers = ((rest.get("template") or {}).get("spec") or {}).get("containers")
    assert not containers
