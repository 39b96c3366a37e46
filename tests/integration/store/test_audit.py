"""The audit: rows commit with their change, nobody changes them, and whoever does is found out."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import psycopg
import pytest

from moorage.resources.kind import ResourceKey
from moorage.store import PostgresStore
from moorage.store.audit_chain import AuditRecord
from moorage.store.audit_log import AuditQuery, AuditRow, BadContinue
from moorage.store.contracts import Origin, RefUpdate, Write
from moorage.store.retention import forget_audit
from tests.support.store import PODS, SECRETS, create, delete, key, store, update

ALICE = Origin(
    'alice "quoted" \\ \x1f ünï',
    "request-1",
    "kubectl",
    "c0ffee",
    groups=("dev", "ops"),
    source_ip="192.0.2.7",
    user_agent="kubectl/v1.36\tx",
)
LEASES = ResourceKey("coordination.k8s.io", "leases")
CANARY = "canary-7f3a"


async def rows(one: PostgresStore, **about: object) -> Sequence[AuditRow]:
    found, _ = await one.audit.rows(replace(AuditQuery(limit=5000), **about))  # type: ignore[arg-type] # by field name
    return found


def tamper(url: str, *statements: str) -> None:
    """What the owner of the tables could do who wants to hide something."""
    with psycopg.connect(url, autocommit=True) as plain:
        for table in ("audit", "audit_heads", "audit_floors"):
            plain.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        for statement in statements:
            plain.execute(statement.encode())


def read_secret(name: str = "s", code: int = 200) -> AuditRecord:
    allowed = code < 400
    place = {"resource": "secrets", "namespace": "ns", "name": name}
    return AuditRecord(time.time(), "bob", "get", allowed, code, f"read-{name}", **place, detail={"sourceIP": "::1"})


async def test_a_write_leaves_its_row_in_its_own_transaction(database_url: str) -> None:
    async with store(database_url) as one:
        await one.cache(PODS)
        (made,) = await one.commit([create(key("a"), uid="u", spec={"x": 1, "y": [1, 2]})], ALICE)
        changed = update(key("a"), "u", expect=made.revision, spec={"x": 2, "y": [1, 3]}, labels={"a.b/c": "d"})
        refused = update(key("a"), "u", expect=99)
        verdicts = await one.commit([changed, refused], replace(ALICE, verb="patch"))
        # A transaction that fails leaves nothing.
        await one.commit([create(key("b")), refused], ALICE, atomic=True)
        await one.commit([delete(key("a"))], ALICE)
        deleted, patched, created = await rows(one)
        assert [row.verb for row in (created, patched, deleted)] == ["create", "patch", "delete"]
        assert [row.revision for row in (created, patched)] == [made.revision, verdicts[0].revision]
        assert created.actor == ALICE.actor
        assert (created.namespace, created.resource, created.name, created.group) == ("ns", "pods", "a", "")
        assert (created.source_commit, created.request_id, created.allowed) == ("c0ffee", "request-1", True)
        told = {
            "groups": ["dev", "ops"],
            "sourceIP": "192.0.2.7",
            "userAgent": "kubectl/v1.36\tx",
            "manager": "kubectl",
        }
        assert created.detail == told
        assert patched.detail == {**told, "changed": ["metadata.labels", "spec.x", "spec.y[1]"]}
        assert created.old_digest == ""
        assert created.new_digest == patched.old_digest != patched.new_digest == deleted.old_digest
        assert abs(created.at - time.time()) < 60
        report = await one.audit.verify()
        assert (report.problems, report.rows, report.head[0]) == ([], 3, 3)


async def test_heartbeats_and_status_of_the_platforms_own_parts_leave_none(database_url: str) -> None:
    async with store(database_url) as one:
        agent = Origin("system:node:n1")
        status = replace(update(key("a"), "u"), subresource="status")
        await one.commit([create(key("l", "kube-system", LEASES)), create(key("a"), uid="u")], agent)
        await one.commit([status], agent)
        assert [(row.resource, row.verb) for row in await rows(one)] == [("pods", "create")]
        await one.commit([status], ALICE)
        assert (await rows(one))[0].subresource == "status"


@pytest.mark.parametrize(("before", "between"), [(0, 1), (1, 0), (2, 1)])
async def test_rows_hold_beside_members_of_their_batch_that_leave_none(
    database_url: str, before: int, between: int
) -> None:
    def beats(count: int) -> list[Write]:
        return [update(key("l", "kube-system", LEASES), "l") for _ in range(count)]

    async with store(database_url) as one:
        made = [create(key("l", "kube-system", LEASES), uid="l"), create(key("a"), uid="a"), create(key("b"), uid="b")]
        await one.commit(made, ALICE)
        changes = [update(key(name), name, labels={"at": "new"}) for name in "ab"]
        refused = update(key("missing"), "u")
        await one.commit([*beats(before), changes[0], *beats(between), refused, changes[1]], ALICE)
        second, first, *created = await rows(one)
        digests = {row.name: row.new_digest for row in created}
        assert {row.name: row.old_digest for row in (first, second)} == digests
        assert [first.name, second.name] == ["a", "b"]
        assert (await one.audit.verify()).problems == []


async def test_a_moved_ref_leaves_a_row_even_where_no_object_is_written(database_url: str) -> None:
    async with store(database_url) as one:
        moved = RefUpdate("repo", "refs/heads/main", "", "ab" * 20, namespace="shop", name="web")
        await one.commit([], ALICE, atomic=True, refs=[moved])
        (row,) = await rows(one)
        assert (row.verb, row.resource, row.actor, row.source_commit) == (
            "push",
            "repositories",
            ALICE.actor,
            "ab" * 20,
        )
        assert row.detail["ref"] == "refs/heads/main"
        assert row.detail["sourceIP"] == "192.0.2.7"
        assert (row.namespace, row.name, row.request_id) == ("shop", "web", "request-1")
        assert (await one.audit.verify()).problems == []


async def test_rows_can_only_be_added(database_url: str) -> None:
    async with store(database_url) as one:
        await one.commit([create(key("a"))], ALICE)
        for statement in ("UPDATE audit SET actor = 'mallory'", "DELETE FROM audit", "TRUNCATE audit"):
            with psycopg.connect(database_url) as plain, pytest.raises(psycopg.Error, match="append-only"):
                plain.execute(statement.encode())
        partition = "SELECT name FROM moorage_audit_partitions_2() ORDER BY lower LIMIT 1"
        with psycopg.connect(database_url, autocommit=True) as plain:
            (name,) = plain.execute(partition).fetchone() or ("",)
            for verb in ("DELETE FROM", "TRUNCATE"):
                with pytest.raises(psycopg.Error, match="append-only"):
                    plain.execute(f"{verb} {name}".encode())


KEPT = [
    ("TRUNCATE audit_heads", "append-only"),
    ("DELETE FROM audit_heads", "the head of the audit stays"),
    ("UPDATE audit_heads SET hash = sha256('x')", "the head of the audit stays"),
    ("TRUNCATE audit_floors", "append-only"),
    ("UPDATE audit_floors SET seq = 0", "only rises"),
    ("UPDATE audit_floors SET chain = 'other', seq = seq + 1", "only rises"),
    ("DELETE FROM audit_floors WHERE chain = 'commits'", "only rises"),
]


async def test_where_the_chains_begin_and_end_stays_on_record(database_url: str) -> None:
    async with store(database_url) as one:
        await one.commit([create(key("a"))], ALICE)
        await one.commit([create(key("b"))], ALICE)
    with psycopg.connect(database_url, autocommit=True) as plain:
        plain.execute(
            "INSERT INTO audit_floors VALUES ('commits', 1, sha256('x'), now()), ('one', 1, sha256('x'), now())"
        )
        for statement, message in KEPT:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=message):
                plain.execute(statement.encode())
        # What upkeep does is allowed.
        plain.execute("DELETE FROM audit_heads WHERE seq < (SELECT max(seq) FROM audit_heads)")
        plain.execute("UPDATE audit_floors SET seq = 2")
        plain.execute("DELETE FROM audit_floors WHERE chain <> 'commits'")
        assert plain.execute("SELECT count(*) FROM audit_heads").fetchone() == (1,)


TAMPERED = [
    (["UPDATE audit SET actor = 'mallory' WHERE seq = 3"], ("commits", 3, "not what was written")),
    (["UPDATE audit SET detail = '{}' WHERE seq = 4"], ("commits", 4, "not what was written")),
    (["UPDATE audit SET at = at + interval '1 second' WHERE seq = 5"], ("commits", 5, "not what was written")),
    (["UPDATE audit SET revision = 9 WHERE seq = 2"], ("commits", 2, "not what was written")),
    (["DELETE FROM audit WHERE seq = 3"], ("commits", 3, "row 3 is missing")),
    (["DELETE FROM audit WHERE seq IN (2, 3)"], ("commits", 2, "rows 2 to 3 are missing")),
    (["DELETE FROM audit WHERE seq >= 4"], ("commits", 4, "its end is missing: the head on record is 5")),
    (["DELETE FROM audit"], ("commits", 1, "its end is missing: the head on record is 5")),
    (["DELETE FROM audit_heads"], ("commits", 5, "the head on record is missing")),
    (
        ["DELETE FROM audit_heads", "INSERT INTO audit_heads SELECT seq, hash FROM audit WHERE seq = 4"],
        ("commits", 5, "rows after the head on record"),
    ),
    (
        ["INSERT INTO audit SELECT at + interval '1 ms', chain, 3, server, 'x', actor, verb, '', resource, '', '', '', '',"
         " true, 0, 0, NULL, NULL, '{}', hash FROM audit WHERE seq = 3"],
        ("commits", 3, "a second row with this number"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "expected"), TAMPERED, ids=[what[-1][:60] for what, _ in TAMPERED])
async def test_the_verifier_names_the_first_row_that_does_not_fit(
    database_url: str, statements: list[str], expected: tuple[str, int, str]
) -> None:
    async with store(database_url) as one:
        for number in range(5):
            await one.commit([create(key(f"p{number}"))], ALICE)
        assert (await one.audit.verify()).problems == []
        tamper(database_url, *statements)
        (problem,) = (await one.audit.verify()).problems
        chain, seq, what = expected
        assert (problem.chain, problem.seq) == (chain, seq)
        assert what in problem.what


# Computes the whole chain anew from a row on, as one could who can write every table.
FORGE = """
DO $$
DECLARE
    v audit%ROWTYPE;
    v_head bytea;
    v_none bytea := decode(repeat('00', 32), 'hex');
BEGIN
    SELECT hash INTO v_head FROM audit WHERE chain = 'commits' AND seq = 2;
    UPDATE audit SET actor = 'mallory' WHERE chain = 'commits' AND seq = 3;
    FOR v IN SELECT * FROM audit WHERE chain = 'commits' AND seq >= 3 ORDER BY seq LOOP
        v_head := sha256(v_head || moorage_audit_row_2(v.request_id, v.actor, v.verb, v.storage_group, v.resource,
            v.subresource, v.namespace, v.name, v.source_commit, v.allowed, v.code, v.detail) || int8send(v.seq)
            || moorage_audit_stamp_2(v.at, v.server) || int8send(v.revision)
            || coalesce(v.old_digest, v_none) || coalesce(v.new_digest, v_none));
        UPDATE audit SET hash = v_head WHERE chain = 'commits' AND seq = v.seq;
    END LOOP;
    DELETE FROM audit_heads;
    INSERT INTO audit_heads SELECT max(seq), v_head FROM audit WHERE chain = 'commits';
END $$
"""


async def test_a_chain_that_was_computed_anew_is_found_out_by_a_head_that_was_kept(database_url: str) -> None:
    async with store(database_url) as one:
        heads = []
        for number in range(6):
            await one.commit([create(key(f"p{number}"))], ALICE)
            heads.append((await one.audit.verify()).head)
        assert (await one.audit.verify(kept=heads[3])).problems == []
        tamper(database_url, FORGE)
        assert (await one.audit.verify()).problems == []
        assert (await one.audit.verify(kept=heads[1])).problems == []
        for head in heads[2:]:
            (problem,) = (await one.audit.verify(kept=head)).problems
            assert (problem.chain, problem.seq) == ("commits", head[0])
            assert "computed anew" in problem.what


async def test_reads_are_chained_by_their_server_and_anchored_in_its_next_commit(database_url: str) -> None:
    async with store(database_url) as one:
        chain = one.audit_chain
        for number in range(3):
            chain.record(read_secret(f"s{number}", 200 if number else 403))
        await chain.flush()
        assert [(row.name, row.allowed, row.code) for row in await rows(one, user="bob")] == [
            ("s2", True, 200),
            ("s1", True, 200),
            ("s0", False, 403),
        ]
        await one.commit([create(key("a"))], ALICE)
        anchor = (await rows(one, verb="anchor"))[0]
        assert (anchor.chain, anchor.detail["chain"], anchor.detail["seq"]) == ("commits", chain.name, 3)
        await one.commit([create(key("b"))], ALICE)
        assert len(await rows(one, verb="anchor")) == 1
        assert (await one.audit.verify()).problems == []
        # What no commit has told of could be cut off; what one has, could not.
        tamper(database_url, f"DELETE FROM audit WHERE chain = '{chain.name}' AND seq = 3")
        (problem,) = (await one.audit.verify()).problems
        assert (problem.chain, problem.seq) == (chain.name, 3)
        assert "its end is missing" in problem.what


async def test_records_are_kept_for_a_database_that_is_away_and_missing_ones_counted(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.store.audit_chain.QUEUED", 3)
    async with store(database_url) as one:
        for number in range(7):
            one.audit_chain.record(read_secret(f"s{number}"))
        await one.audit_chain.flush()
        missing, *kept = await rows(one)
        assert [row.name for row in kept] == ["s2", "s1", "s0"]
        assert (missing.verb, missing.detail) == ("missing", {"count": 4})
        assert (await one.audit.verify()).problems == []


async def test_a_name_that_no_text_can_hold_stops_no_row(database_url: str) -> None:
    """Anybody can ask for such a name; the rows after it are written all the same, and the chain holds."""
    async with store(database_url) as one:
        for number, name in enumerate(("a\0b", "\ud800", "x" * 100_000, "\n\x1f")):
            odd = read_secret(name, 403)
            one.audit_chain.record(replace(odd, request_id=f"odd-{number}", detail={"path": name, "groups": [name]}))
        one.audit_chain.record(read_secret())
        await one.audit_chain.flush()
        found = await rows(one, user="bob")
        assert [row.name[:4] for row in found] == ["s", "\n\x1f", "xxxx", "?", "a\ufffdb"]
        assert found[0].request_id == "read-s"
        report = await one.audit.verify(lambda _rows: None)
        assert report.problems == []


async def test_chains_of_many_servers_hold(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(store(database_url, f"s{number}")) for number in range(3)]

        async def work(number: int) -> None:
            one = servers[number % 3]
            one.audit_chain.record(read_secret(f"r{number}"))
            await one.commit([create(key(f"p{number}-{part}")) for part in range(3)], ALICE)

        await asyncio.gather(*(work(number) for number in range(90)))
        for one in servers:
            await one.audit_chain.flush()
            await one.commit([create(key(one.audit_chain.name.split("/")[1]))], ALICE)
        report = await servers[0].audit.verify()
        assert report.problems == []
        assert report.chains == 4
        assert len(await rows(servers[0], user="bob")) == 90
        assert len(await rows(servers[0], resource="pods")) == 273


async def test_verifying_needs_no_rest(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are added meanwhile, some of them behind the place that has been read already, are not taken for tampering."""
    monkeypatch.setattr("moorage.store.audit_verify.AT_ONCE", 5)
    async with store(database_url, "one") as one, store(database_url, "two") as two:
        done = asyncio.Event()

        async def work() -> None:
            number = 0
            while not done.is_set():
                number += 1
                two.audit_chain.record(replace(read_secret(f"r{number}"), at=time.time() - 0.2))
                await one.commit([create(key(f"p{number}"))], ALICE)
                await two.commit([create(key(f"q{number}"))], ALICE)

        working = asyncio.create_task(work())
        reports = [await one.audit.verify() for _ in range(6)]
        done.set()
        await working
        assert [report.problems for report in reports] == [[]] * 6
        assert reports[-1].rows > reports[0].rows


async def test_filters_and_pages(database_url: str) -> None:
    async with store(database_url) as one:
        for number in range(5):
            origin = replace(ALICE, actor=f"user-{number % 2}", source_commit=f"{number}abc")
            await one.commit([create(key(f"p{number}", f"ns-{number}"))], origin)
        one.audit_chain.record(read_secret("x", 403))
        await one.audit_chain.flush()
        assert [row.name for row in await rows(one, allowed=False)] == ["x"]
        assert [row.name for row in await rows(one, user="user-1")] == ["p3", "p1"]
        assert [row.name for row in await rows(one, namespaces={"ns-1": 0.0, "ns-4": 0.0})] == ["p4", "p1"]
        assert [row.name for row in await rows(one, namespaces={"ns-1": 0.0, "ns-4": time.time()})] == ["p1"]
        assert await rows(one, namespaces={}) == []
        assert [row.name for row in await rows(one, commit="3a")] == ["p3"]
        assert [row.name for row in await rows(one, verb="get", resource="secrets")] == ["x"]
        middle = (await rows(one, user="user-0"))[1]
        assert [row.name for row in await rows(one, resource="pods", until=middle.at)] == ["p1", "p0"]
        assert [row.name for row in await rows(one, resource="pods", since=middle.at)] == ["p4", "p3", "p2"]
        seen: list[str] = []
        token = ""
        while True:
            page, token = await one.audit.rows(AuditQuery(limit=2, continue_=token))
            seen += [row.name for row in page]
            if not token:
                break
        assert seen == ["x", "p4", "p3", "p2", "p1", "p0"]
        with pytest.raises(BadContinue, match="not one of the audit's"):
            await one.audit.rows(AuditQuery(continue_="bm9uZQ=="))


async def test_old_days_are_dropped_and_the_rest_still_verifies(database_url: str) -> None:
    async with store(database_url) as one:
        await one.commit([create(key("a"))], ALICE)
        with psycopg.connect(database_url, autocommit=True) as plain:
            plain.execute("SELECT moorage_make_audit_partition_2(now() - interval '9 days')")
        old = replace(read_secret("old"), at=time.time() - 9 * 86400)
        one.audit_chain.record(old)
        one.audit_chain.record(read_secret("new"))
        await one.audit_chain.flush()
        await one.commit([create(key("b"))], ALICE)
        async with one._readers.connection() as connection:
            await forget_audit(connection, 20 * 86400)
            assert len(await rows(one, user="bob")) == 2
            await forget_audit(connection, 5 * 86400)
        assert [row.name for row in await rows(one, user="bob")] == ["new"]
        assert (await one.audit.verify()).problems == []
        with psycopg.connect(database_url) as plain:
            assert plain.execute("SELECT chain, seq FROM audit_floors").fetchall() == [(one.audit_chain.name, 1)]


async def test_no_content_of_a_secret_comes_into_the_audit(database_url: str) -> None:
    def secret(write: Write) -> Write:
        return replace(write, sealed=True)

    async with store(database_url) as one:
        await one.cache(SECRETS)
        of = key("s", resource=SECRETS)
        first = create(of, uid="u", data={"password": CANARY, "user": "x"})
        (made,) = await one.commit([secret(first)], ALICE)
        again = update(of, "u", expect=made.revision, data={"password": CANARY + "2", "user": "x"})
        await one.commit([secret(again)], ALICE)
        await one.commit([delete(of)], ALICE)
        with psycopg.connect(database_url) as plain:
            whole = "\n".join(str(row) for row in plain.execute("SELECT a::text FROM audit a").fetchall())
        assert CANARY not in whole
        assert (await rows(one))[1].detail["changed"] == ["data.password"]
        digests = {row.new_digest for row in await rows(one)}
        assert first.encoded is not None
        assert hashlib.sha256(first.encoded.body).hexdigest() not in digests
