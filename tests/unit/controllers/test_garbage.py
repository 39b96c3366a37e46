"""Garbage collection: decisions, and whole worlds in virtual time with watches that lag."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.client.informer import Informers
from moorage.client.objects import Document, ObjectKey
from moorage.client.resource import CONFIG_MAPS, NAMESPACES, NODES, SECRETS, Resource
from moorage.controllers.context import Context
from moorage.controllers.garbage.collector import GarbageCollector
from moorage.controllers.garbage.decide import Delete, DropReferences, Keep, OwnerState, Unblock, Verdict, verdict
from moorage.controllers.garbage.graph import Graph, Node, Owner
from tests.support import virtual
from tests.unit.controllers.world import World

SOLID, ABSENT, WAITING = OwnerState.SOLID, OwnerState.ABSENT, OwnerState.WAITING


def _node(*owners: str, finalizers: frozenset[str] = frozenset(), dependents: set[Node] | None = None) -> Node:
    references = tuple(Owner("v1", "ConfigMap", uid, uid, True) for uid in owners)
    node = Node("me", ObjectKey("team", "me"), "v1", "ConfigMap", CONFIG_MAPS, references, False, finalizers)
    node.dependents = dependents or set()
    return node


_foreground = _node(finalizers=frozenset({"foregroundDeletion"}))
_foreground.deleting = True


@pytest.mark.parametrize(
    ("node", "states", "expected"),
    [
        (_node("a"), {"a": SOLID}, Keep()),
        (_node("a"), {}, Keep()),
        (_node("a"), {"a": ABSENT}, Delete("Background")),
        (_node("a", "b"), {"a": ABSENT, "b": SOLID}, DropReferences(["a"])),
        (_node("a", "b"), {"a": WAITING, "b": SOLID}, DropReferences(["a"])),
        (_node("a", "b"), {"a": ABSENT, "b": WAITING}, Delete("Background")),
        (_node("a", dependents={_node()}), {"a": WAITING}, Delete("Foreground")),
        (_node("a", dependents={_foreground}), {"a": WAITING}, Unblock()),
        (_node("a", finalizers=frozenset({"orphan"})), {"a": ABSENT}, Delete("Orphan")),
        (_node("a", finalizers=frozenset({"foregroundDeletion"})), {"a": ABSENT}, Delete("Foreground")),
    ],
)
def test_verdicts(node: Node, states: dict[str, OwnerState], expected: Verdict) -> None:
    assert verdict(node, states) == expected


def test_nobody_waits_for_what_another_namespace_claims_to_depend_on() -> None:
    own, foreign, of_the_cluster = _node("owner"), _node("owner"), _node("owner")
    foreign.key, of_the_cluster.key = ObjectKey("other", "me"), ObjectKey("", "me")
    owner = Node("owner", ObjectKey("team", "owner"), "v1", "ConfigMap", CONFIG_MAPS)
    owner.dependents = {own, foreign, of_the_cluster}
    assert owner.blocking() == owner.own() == [own]
    owner.key = ObjectKey("", "owner")
    assert set(owner.blocking()) == {own, foreign, of_the_cluster}


@given(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(OwnerState)), st.booleans())
def test_nothing_with_an_owner_that_stays_is_ever_deleted(states: dict[str, OwnerState], with_dependents: bool) -> None:
    node = _node(*"abcd", dependents={_foreground} if with_dependents else set())
    decision = verdict(node, states)
    if len(states) < 4 or SOLID in states.values():
        assert isinstance(decision, Keep | DropReferences)
    if isinstance(decision, DropReferences):
        assert all(states[uid] is not SOLID for uid in decision.uids)


def test_the_graph_names_dependents_of_what_is_gone_and_forgets_virtual_owners() -> None:
    graph = Graph()
    owner = _document("owner", "u1")
    child = _document("child", "u2", _reference("owner", "u1"))
    assert graph.put(CONFIG_MAPS, child) == {"u2"}  # its owner has not been seen
    assert graph.put(CONFIG_MAPS, owner) == {"u2"}
    assert graph.put(CONFIG_MAPS, child) == set()
    assert graph.remove("u1") == {"u2"}
    graph.put(CONFIG_MAPS, child)
    assert graph.remove("u2") == set()
    assert len(graph) == 0


Parents = dict[int, list[int]]

_worlds = st.integers(2, 9).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.dictionaries(
            st.integers(1, size - 1), st.lists(st.integers(0, size - 1), min_size=1, max_size=3, unique=True)
        ),
        st.sets(st.integers(0, size - 1), max_size=3),
        st.sets(st.integers(0, size - 1), max_size=3),
        st.integers(0, 1000),
    )
)


@settings(max_examples=120, deadline=None)
@given(_worlds)
def test_what_has_a_living_owner_lives_and_what_has_none_goes(
    drawn: tuple[int, Parents, set[int], set[int], int],
) -> None:
    """Objects own one another at random (circles too); some never existed, some are deleted while the collector runs."""
    size, parents, never, deleted, seed = drawn

    async def main() -> None:
        world = World(seed)
        for number in range(size):
            if number not in never:
                owners = [_reference(f"o{parent}", f"u{parent}") for parent in parents.get(number, ())]
                world.put(CONFIG_MAPS, _document(f"o{number}", f"u{number}", *owners))
        await _collecting(world, deleted=[f"o{number}" for number in deleted])
        left = {int(each["metadata"]["name"][1:]) for each in world.all(CONFIG_MAPS)}
        assert left == _survivors(size, parents, never | deleted)

    virtual.run(main())


def _survivors(size: int, parents: Parents, gone: set[int]) -> set[int]:
    """The greatest set in which whoever has owners has a living one."""
    alive = set(range(size)) - gone
    while True:
        orphaned = {each for each in alive if each in parents and not alive & set(parents[each])}
        if not orphaned:
            return alive
        alive -= orphaned


async def _collecting(world: World, deleted: list[str] = [], propagation: str = "") -> None:  # noqa: B006 - read only
    """Run the collector until everything that could happen has."""
    informers = Informers(world.client)
    collector = GarbageCollector(Context(world.client, informers, clock=lambda: 1e9))
    running = [asyncio.ensure_future(informers.run()), asyncio.ensure_future(collector.run())]
    await asyncio.sleep(10)
    steps = [
        {"verb": "delete", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "team", "name": name}
        for name in deleted
        if world.find(CONFIG_MAPS, name, "team")
    ]
    for step in steps:
        await world.batch([{**step, "propagationPolicy": propagation} if propagation else step])
        await asyncio.sleep(0.3)
    await asyncio.sleep(200)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def test_foreground_deletion_ends_with_the_owner() -> None:
    async def main() -> list[str]:
        world = World()
        world.put(CONFIG_MAPS, _document("top", "u0"))
        world.put(CONFIG_MAPS, _document("middle", "u1", _reference("top", "u0")))
        for number in range(3):
            world.put(CONFIG_MAPS, _document(f"leaf{number}", f"l{number}", _reference("middle", "u1")))
        await _collecting(world, ["top"], "Foreground")
        return [each["metadata"]["name"] for each in world.deleted]

    order = virtual.run(main())
    assert sorted(order[:3]) == ["leaf0", "leaf1", "leaf2"]
    assert order[3:] == ["middle", "top"]


def test_a_circle_that_is_deleted_in_the_foreground_comes_undone() -> None:
    async def main() -> list[Document]:
        world = World()
        world.put(CONFIG_MAPS, _document("a", "u0", _reference("b", "u1")))
        world.put(CONFIG_MAPS, _document("b", "u1", _reference("a", "u0")))
        await _collecting(world, ["a"], "Foreground")
        return world.all(CONFIG_MAPS)

    assert virtual.run(main()) == []


def test_orphaning_frees_the_dependents_first() -> None:
    async def main() -> None:
        world = World()
        world.put(CONFIG_MAPS, _document("top", "u0"))
        world.put(CONFIG_MAPS, _document("kept", "u1", _reference("top", "u0")))
        await _collecting(world, ["top"], "Orphan")
        (left,) = world.all(CONFIG_MAPS)
        assert left["metadata"]["name"] == "kept"
        assert not left["metadata"].get("ownerReferences")

    virtual.run(main())


@pytest.mark.parametrize(
    ("owner", "dependent", "lives"),
    [
        ((NODES, ""), (CONFIG_MAPS, "team"), True),
        ((CONFIG_MAPS, "team"), (SECRETS, "team"), True),
        ((CONFIG_MAPS, "far"), (SECRETS, "team"), False),
        ((CONFIG_MAPS, "team"), (NAMESPACES, ""), True),
    ],
)
def test_scopes(owner: tuple[Resource, str], dependent: tuple[Resource, str], lives: bool) -> None:
    """A namespaced owner counts only in its namespace; a reference from the cluster to a namespaced kind is ignored."""

    async def main() -> bool:
        world = World()
        world.put(owner[0], _document("owner", "u0", namespace=owner[1]))
        reference = {"apiVersion": owner[0].api_version, "kind": owner[0].kind, "name": "owner", "uid": "u0"}
        world.put(dependent[0], _document("dependent", "u1", reference, namespace=dependent[1]))
        await _collecting(world)
        return world.find(dependent[0], "dependent", dependent[1]) is not None

    assert virtual.run(main()) is lives


def test_an_owner_of_another_uid_is_none() -> None:
    async def main() -> list[str]:
        world = World()
        world.put(CONFIG_MAPS, _document("owner", "new"))
        world.put(CONFIG_MAPS, _document("child", "u1", _reference("owner", "old")))
        await _collecting(world)
        return [each["metadata"]["name"] for each in world.all(CONFIG_MAPS)]

    assert virtual.run(main()) == ["owner"]


def _reference(name: str, uid: str) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": True}


def _document(name: str, uid: str, *owners: Document, namespace: str = "team") -> Document:
    metadata: Document = {"name": name, "uid": uid}
    if namespace:
        metadata["namespace"] = namespace
    if owners:
        metadata["ownerReferences"] = list(owners)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
