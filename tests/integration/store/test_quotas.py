"""Quotas in the commit: limits are set by the write of their object, and no number of writers goes beyond them by one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Json

from moorage.resources.kind import ResourceKey
from moorage.store import PostgresStore
from moorage.store.contracts import Exceeded, Limits, Op, Outcome, Verdict, Write
from moorage.store.quotas import RESOURCE_QUOTAS, TENANTS, ScopeUsage, Usage
from tests.support.store import ORIGIN, create, delete, document, key, store, update

NAMESPACES = ResourceKey("", "namespaces")
QUOTA = key("q", resource=RESOURCE_QUOTAS)
TENANT = key("t", "", TENANTS)
HIGH = {"scope": "PriorityClass", "operator": "In", "values": ["high"]}


def limited(what: Any, hard: Mapping[str, int], matcher: Sequence[Mapping[str, Any]] = (), op: Op = Op.UPDATE) -> Write:
    """A write of a quota's object that sets its limits."""
    scope = f"quota/{what.namespace}/{what.name}" if what.namespace else f"tenant/{what.name}"
    return Write(op, what, "q", document(what, "q"), limits=Limits(scope, hard, matcher))


def namespace(name: str, tenant: str | None, op: Op = Op.CREATE, charge: Mapping[str, int] | None = None) -> Write:
    of = key(name, "", NAMESPACES)
    return Write(op, of, "n", document(of, "n"), tenant=tenant, charge=charge or {})


def pod(name: str, amount: int = 1, in_: str = "ns", **about: Any) -> Write:
    charge: dict[str, Any] = {"pods": 1, "cpu": amount, "@": about}
    return create(key(name, in_), charge=charge if about else {"pods": 1, "cpu": amount})


async def commit(one: PostgresStore, *writes: Write, atomic: bool = False) -> list[str]:
    return [verdict.outcome.value for verdict in await one.commit(writes, ORIGIN, atomic=atomic)]


async def test_a_quota_counts_what_exists_follows_every_write_and_ends_with_its_object(database_url: str) -> None:
    async with store(database_url) as one:
        assert await commit(one, pod("a", 5), limited(QUOTA, {"pods": 2, "cpu": 12}, op=Op.CREATE)) == ["written"] * 2
        assert await one.quotas.usage("quota/ns/q") == {"cpu": Usage(12, 5), "pods": Usage(2, 1)}
        assert await commit(one, pod("elsewhere", 99, "other"), pod("b", 7), pod("c", 1)) == [
            "written",
            "written",
            "quota",
        ]
        assert (
            await commit(one, update(key("b"), "b", charge={"pods": 1, "cpu": 3}), delete(key("a"))) == ["written"] * 2
        )
        assert await one.quotas.usage("quota/ns/q") == {"cpu": Usage(12, 3), "pods": Usage(2, 1)}
        # Another set of limits takes the place of the first, and may be below what is used; only what shrinks fits then.
        assert await commit(one, limited(QUOTA, {"cpu": 2})) == ["written"]
        assert await one.quotas.usage("quota/ns/q") == {"cpu": Usage(2, 3)}
        smaller, greater = ({"pods": 1, "cpu": amount} for amount in (2, 3))
        assert await commit(one, update(key("b"), "b", charge=smaller)) == ["written"]
        assert await commit(one, update(key("b"), "b", charge=greater)) == ["quota"]
        assert await commit(one, delete(QUOTA), pod("d", 100)) == ["written"] * 2
        assert await one.quotas.usage("quota/ns/q") == {}


async def test_a_refusal_tells_every_limit_that_does_not_hold(database_url: str) -> None:
    async with store(database_url) as one:
        second = key("second", resource=RESOURCE_QUOTAS)
        await commit(
            one,
            namespace("ns", "t"),
            limited(QUOTA, {"pods": 0, "cpu": 5}, op=Op.CREATE),
            limited(second, {"cpu": 9}, op=Op.CREATE),
            limited(TENANT, {"cpu": 1, "pods": 8}, op=Op.CREATE),
        )
        (verdict,) = await one.commit([pod("a", 6)], ORIGIN)
        assert verdict.exceeded == [
            Exceeded("quota/ns/q", "cpu", 0, 6, 5),
            Exceeded("quota/ns/q", "pods", 0, 1, 0),
            Exceeded("tenant/t", "cpu", 0, 6, 1),
        ]
        assert [each.exceeded for each in await one.commit([pod("a", 0, "free")], ORIGIN)] == [()]


MATCHERS = [
    ([{"scope": "BestEffort", "operator": "Exists"}], {"scopes": ["BestEffort", "NotTerminating"]}, True),
    ([{"scope": "Terminating", "operator": "Exists"}], {"scopes": ["BestEffort", "NotTerminating"]}, False),
    ([{"scope": "BestEffort", "operator": "Exists"}, HIGH], {"scopes": ["BestEffort"], "priorityClass": "low"}, False),
    ([HIGH], {"priorityClass": "high"}, True),
    ([HIGH], {"scopes": []}, False),
    ([{**HIGH, "operator": "NotIn"}], {"priorityClass": "low"}, True),
    ([{**HIGH, "operator": "NotIn"}], {"priorityClass": "high"}, False),
    ([{**HIGH, "operator": "NotIn"}], {"scopes": []}, True),
    ([{"scope": "PriorityClass", "operator": "Exists"}], {"priorityClass": "x"}, True),
    ([{"scope": "PriorityClass", "operator": "Exists"}], {"priorityClass": ""}, False),
    ([{"scope": "PriorityClass", "operator": "DoesNotExist"}], {"scopes": []}, True),
    ([{"scope": "PriorityClass", "operator": "DoesNotExist"}], {"priorityClass": "x"}, False),
    (
        [{"scope": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}],
        {"volumeAttributesClass": ["silver", "gold"]},
        True,
    ),
    ([HIGH], {}, False),
]


@pytest.mark.parametrize(("matcher", "about", "counts"), MATCHERS)
def test_a_scoped_quota_counts_what_its_scopes_say(
    module_database_url: str, matcher: list[dict[str, Any]], about: dict[str, Any], counts: bool
) -> None:
    with psycopg.connect(module_database_url) as plain:
        query = "SELECT moorage_matches_2(%s::jsonb, %s::jsonb)"
        row = plain.execute(query, (Json(matcher), Json(about))).fetchone()
        assert row == (counts,)
        assert plain.execute(query, (Json(matcher), None)).fetchone() == (False,)


async def test_an_object_that_changes_its_class_moves_between_scoped_quotas(database_url: str) -> None:
    async with store(database_url) as one:
        high, rest = key("high", resource=RESOURCE_QUOTAS), key("rest", resource=RESOURCE_QUOTAS)
        absent = [{"scope": "PriorityClass", "operator": "DoesNotExist"}]
        await commit(one, pod("a", 5, priorityClass="high"), pod("b", 4, scopes=[]))
        await commit(one, limited(high, {"cpu": 9}, [HIGH], Op.CREATE), limited(rest, {"cpu": 9}, absent, Op.CREATE))
        assert await one.quotas.usage("quota/ns/high") == {"cpu": Usage(9, 5)}
        assert await one.quotas.usage("quota/ns/rest") == {"cpu": Usage(9, 4)}
        moved: dict[str, Any] = {"pods": 1, "cpu": 5, "@": {"scopes": []}}
        assert await commit(one, update(key("a"), "a", charge=moved)) == ["written"]
        assert await one.quotas.usage("quota/ns/high") == {"cpu": Usage(9, 0)}
        assert await one.quotas.usage("quota/ns/rest") == {"cpu": Usage(9, 9)}


async def test_a_tenant_is_charged_for_all_of_its_namespaces(database_url: str) -> None:
    async with store(database_url) as one:
        one_of = {"count/namespaces": 1}
        await commit(one, namespace("a", "t", charge=one_of), namespace("b", "t", charge=one_of), namespace("c", None))
        await commit(one, pod("x", 3, "a"), pod("y", 4, "b"), pod("z", 5, "c"))
        await commit(one, limited(TENANT, {"cpu": 10, "count/namespaces": 3}, op=Op.CREATE))
        assert await one.quotas.usage("tenant/t") == {"count/namespaces": Usage(3, 2), "cpu": Usage(10, 7)}
        assert await commit(one, pod("w", 4, "a"), pod("v", 3, "b"), pod("u", 50, "c")) == [
            "quota",
            "written",
            "written",
        ]
        # A namespace with its contents made by one transaction is charged as a whole, or not at all.
        whole = [namespace("d", "t", charge=one_of), pod("too-much", 1, "d")]
        assert await commit(one, *whole, atomic=True) == ["aborted", "quota"]
        assert await one.quotas.usage("tenant/t") == {"count/namespaces": Usage(3, 2), "cpu": Usage(10, 10)}
        # Status and finalizers say nothing of the tenant, which stays.
        assert await commit(one, namespace("a", None, Op.UPDATE, one_of), delete(key("x", "a"))) == ["written"] * 2
        assert (await one.quotas.usage("tenant/t"))["cpu"] == Usage(10, 7)
        with psycopg.connect(database_url) as plain:
            rows = plain.execute("SELECT DISTINCT namespace, tenant FROM objects WHERE resource = 'pods' ORDER BY 1")
            assert rows.fetchall() == [("b", "t"), ("c", "")]


async def test_a_namespace_that_changes_its_tenant_takes_its_charges_along(database_url: str) -> None:
    async with store(database_url) as one:
        one_of = {"count/namespaces": 1}
        other = key("other", "", TENANTS)
        await commit(one, namespace("a", "t", charge=one_of), pod("x", 3, "a"), pod("y", 4, "a"))
        await commit(
            one,
            limited(TENANT, {"cpu": 10}, op=Op.CREATE),
            limited(other, {"cpu": 6, "count/namespaces": 5}, op=Op.CREATE),
        )
        (refused,) = await one.commit([namespace("a", "other", Op.UPDATE, one_of)], ORIGIN)
        assert refused.exceeded == [Exceeded("tenant/other", "cpu", 0, 7, 6)]
        assert await commit(one, delete(key("x", "a")), namespace("a", "other", Op.UPDATE, one_of)) == ["written"] * 2
        assert await one.quotas.usage("tenant/t") == {"cpu": Usage(10, 0)}
        assert await one.quotas.usage("tenant/other") == {"count/namespaces": Usage(5, 1), "cpu": Usage(6, 4)}
        assert await commit(one, pod("z", 3, "a"), pod("z", 2, "a")) == ["quota", "written"]
        assert await commit(one, delete(key("a", "", NAMESPACES))) == ["written"]
        assert await one.quotas.usage("tenant/other") == {"count/namespaces": Usage(5, 0), "cpu": Usage(6, 0)}
        # What is left behind by its namespace is nobody's, and does not give back twice.
        assert await commit(one, delete(key("z", "a"))) == ["written"]
        assert (await one.quotas.usage("tenant/other"))["cpu"] == Usage(6, 0)


async def test_changed_scopes_are_told_with_their_usage(database_url: str) -> None:
    async with store(database_url) as one:
        assert await one.quotas.changed_since(0) == []
        await commit(one, limited(QUOTA, {"pods": 5}, op=Op.CREATE), limited(TENANT, {"pods": 5}, op=Op.CREATE))
        first = await one.quotas.changed_since(0)
        assert [each.scope for each in first] == ["quota/ns/q", "tenant/t"]
        newest = max(each.revision for each in first)
        assert await one.quotas.changed_since(newest) == []
        (verdict,) = await one.commit([pod("a")], ORIGIN)
        expected = ScopeUsage("quota/ns/q", verdict.revision, {"pods": Usage(5, 1)})
        assert await one.quotas.changed_since(newest) == [expected]
        # The same limits once more change nothing: who writes the status does not wake itself.
        await commit(one, limited(QUOTA, {"pods": 5}))
        assert await one.quotas.changed_since(verdict.revision) == []


async def test_a_thousand_creates_at_once_never_exceed_by_one(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(store(database_url, f"s{number}")) for number in range(4)]
        await commit(
            servers[0],
            namespace("ns", "t"),
            namespace("more", "t"),
            limited(QUOTA, {"pods": 300}, op=Op.CREATE),
            limited(TENANT, {"pods": 500}, op=Op.CREATE),
        )

        async def one(number: int) -> tuple[str, Verdict]:
            space = "ns" if number % 2 else "more"
            (verdict,) = await servers[number % 4].commit([pod(f"p{number}", in_=space)], ORIGIN)
            return space, verdict

        outcomes = await asyncio.gather(*(one(number) for number in range(1000)))
        written = [space for space, verdict in outcomes if verdict.outcome is Outcome.WRITTEN]
        assert {verdict.outcome for _, verdict in outcomes} == {Outcome.WRITTEN, Outcome.QUOTA}
        assert len(written) == 500
        assert written.count("ns") <= 300
        with psycopg.connect(database_url) as plain:
            stored = plain.execute(
                "SELECT namespace, count(*) FROM objects WHERE resource = 'pods' GROUP BY 1"
            ).fetchall()
        assert dict(stored) == {space: written.count(space) for space in ("ns", "more")}
        assert (await servers[1].quotas.usage("tenant/t"))["pods"] == Usage(500, 500)
        assert (await servers[2].quotas.usage("quota/ns/q"))["pods"] == Usage(300, written.count("ns"))
