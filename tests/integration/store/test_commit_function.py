"""The commit function against a model: any batches, on few keys, give the model's verdicts, objects and log."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.store import StoreSettings
from moorage.store.commit import PREPARE, Batch, Request, call, parameters
from moorage.store.contracts import Exceeded, Op, Outcome, Precondition, RefUpdate, Write
from moorage.store.database import Database, translate
from moorage.store.errors import StaleHistory, StaleWriter
from moorage.store.pipe import Pipe
from tests.support.store import ORIGIN, create, delete, key, update

NAMES = ("a", "b", "c")
RESET = """
TRUNCATE objects, batches, quotas, writers, git_refs, git_pushes; TRUNCATE revisions;
INSERT INTO writers VALUES ('model', 1, 'test', now());
INSERT INTO quotas VALUES
    ('quota/ns/q', 'pods', 2, 0, 'namespace/ns', NULL, 0), ('tenant/t', 'cpu', 10, 0, 'tenant/t', NULL, 0);
INSERT INTO objects VALUES ('', 'namespaces', '', 'ns', 'n', 1, 'v1', 't', NULL, '{}', NULL, 0, NULL, NULL);
UPDATE cluster SET base_revision = 1, epoch = 1;
SELECT moorage_make_partition_1(1, 1000), moorage_make_audit_partition_2(now());
"""


class Model:
    """What the function must do, in the plainest words."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[str, int, dict[str, Any]]] = {}
        self.log: list[tuple[int, int, str, int | None]] = []
        self.head = 1

    def used(self, objects: dict[str, tuple[str, int, dict[str, Any]]]) -> tuple[int, int]:
        charges = [charge for _, _, charge in objects.values()]
        return sum(c.get("pods", 0) for c in charges), sum(c.get("cpu", 0) for c in charges)

    def decide(self, write: Write) -> tuple[Outcome, int]:
        old = self.objects.get(write.key.name)
        if write.op is Op.CREATE and old is not None:
            return Outcome.EXISTS, old[1]
        if write.op is not Op.CREATE:
            if old is None:
                return Outcome.NOT_FOUND, 0
            if write.expect_uid is not None and write.expect_uid != old[0]:
                return Outcome.UID_MISMATCH, old[1]
            if write.expect_revision is not None and write.expect_revision != old[1]:
                return Outcome.CONFLICT, old[1]
        after = dict(self.objects)
        if write.op is Op.DELETE:
            del after[write.key.name]
        else:
            after[write.key.name] = (write.uid, 0, dict(write.charge))
        before, now = self.used(self.objects), self.used(after)
        if any(new > limit and new > old_use for new, old_use, limit in zip(now, before, (2, 10), strict=True)):
            return Outcome.QUOTA, old[1] if old else 0
        self.head += 1
        change = {Op.CREATE: 1, Op.UPDATE: 2, Op.DELETE: 3}[write.op]
        self.log.append((self.head, change, write.key.name, old[1] if old else None))
        self.objects = after
        if write.op is not Op.DELETE:
            self.objects[write.key.name] = (write.uid, self.head, dict(write.charge))
        return Outcome.WRITTEN, self.head

    def batch(self, writes: list[Write], atomic: bool) -> list[tuple[Outcome, int]]:
        saved = (dict(self.objects), list(self.log), self.head)
        verdicts = [self.decide(write) for write in writes]
        if atomic and any(outcome is not Outcome.WRITTEN for outcome, _ in verdicts):
            # The numbers of members that another one brought down mean nothing.
            self.objects, self.log, self.head = saved
            return [(Outcome.ABORTED, 0) if v[0] is Outcome.WRITTEN else v for v in verdicts]
        return verdicts


@st.composite
def writes(draw: st.DrawFn) -> Write:
    name = draw(st.sampled_from(NAMES))
    op = draw(st.sampled_from(list(Op)))
    uid = draw(st.sampled_from(("u1", "u2")))
    charge = draw(st.sampled_from(({}, {"pods": 1}, {"pods": 1, "cpu": 4}, {"cpu": 7})))
    expect = draw(st.none() | st.integers(2, 12))
    if op is Op.CREATE:
        return create(key(name), uid=uid, tenant="t", charge=charge)
    if op is Op.UPDATE:
        return update(key(name), uid, expect=expect, tenant="t", charge=charge)
    return delete(key(name), expect=expect, expect_uid=draw(st.sampled_from((None, "u1", "u2"))))


Batches = list[tuple[list[Write], bool]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(st.lists(writes(), min_size=1, max_size=8), st.booleans()), min_size=1, max_size=6))
def test_any_batches_do_what_the_model_does(database_url: str, batches: Batches) -> None:
    asyncio.run(compare(database_url, batches))


async def open_pipe(url: str) -> Pipe:
    connection = await Database(url, password=None, server_name="m", settings=StoreSettings()).connect()
    await connection.execute(PREPARE)
    return Pipe(connection, lost=lambda: None)


async def compare(url: str, batches: Batches) -> None:
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute(RESET)
        pipe = await open_pipe(url)
        model = Model()
        for members, atomic in batches:
            expected = model.batch(members, atomic)
            request = Request(members, [None] * len(members), ORIGIN, atomic)
            got = await call(pipe, parameters(Batch([request]), "model", 1, 1))
            shown = [(v.outcome, v.revision) for v in got.verdicts]
            if atomic and Outcome.ABORTED in [outcome for outcome, _ in expected]:
                assert [o for o, _ in shown] == [o for o, _ in expected]
            else:
                assert shown == expected
            assert got.last == model.head
        await pipe.close()
        stored = plain.execute("SELECT name, uid, revision, charge FROM objects WHERE namespace = 'ns'").fetchall()
        assert {n: (u, r, c or {}) for n, u, r, c in stored} == model.objects
        log = plain.execute(
            "SELECT revision, change, name, previous_revision FROM revisions ORDER BY revision"
        ).fetchall()
        assert log == model.log
        used = plain.execute("SELECT used FROM quotas ORDER BY scope").fetchall()
        assert [row[0] for row in used] == list(model.used(model.objects))
        spans = plain.execute("SELECT first_revision, last_revision FROM batches ORDER BY 1").fetchall()
        assert [number for low, high in spans for number in range(low, high + 1)] == list(range(2, model.head + 1))
        texts = plain.execute(
            "SELECT previous_document #>> '{metadata,name}', name FROM revisions WHERE change > 1"
        ).fetchall()
        assert all(before == name for before, name in texts)


async def call_raw(url: str, request: Request, writer_epoch: int = 1, epoch: int = 1) -> Any:
    pipe = await open_pipe(url)
    try:
        return await call(pipe, parameters(Batch([request]), "model", writer_epoch, epoch))
    except psycopg.Error as error:
        raise translate(error) from error
    finally:
        await pipe.close()


async def test_an_old_epoch_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as plain:
        plain.execute(RESET)
        plain.execute("UPDATE writers SET epoch = 2")
        request = Request([create(key("a"))], [None], ORIGIN)
        with pytest.raises(StaleWriter):
            await call_raw(database_url, request, writer_epoch=1)
        with pytest.raises(StaleHistory):
            await call_raw(database_url, request, writer_epoch=2, epoch=2)
        assert plain.execute("SELECT count(*) FROM revisions").fetchone() == (0,)
        assert (await call_raw(database_url, request, writer_epoch=2)).last == 2


async def test_preconditions_and_refs_hold_or_nothing_is_written(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as plain:
        plain.execute(RESET)

        async def transact(**conditions: Any) -> tuple[list[str], str]:
            request = Request([create(key(uuid.uuid4().hex))], [None], ORIGIN, True, **conditions)
            got = await call_raw(database_url, request)
            return [v.outcome.value for v in got.verdicts], got.verdicts[0].detail

        request = Request([create(key("fence"), uid="u1")], [None], ORIGIN, True)
        assert (await call_raw(database_url, request)).last == 2
        fence = key("fence")
        for good in (
            Precondition(fence, exists=True),
            Precondition(fence, revision=2),
            Precondition(fence, uid="u1", revision=2, exists=True),
            Precondition(key("none"), exists=False),
        ):
            assert await transact(preconditions=[good]) == (["written"], "")
        count = plain.execute("SELECT count(*) FROM objects").fetchone()
        for bad in (
            Precondition(fence, exists=False),
            Precondition(fence, revision=3),
            Precondition(fence, uid="u2"),
            Precondition(key("none"), exists=True),
            Precondition(key("none"), revision=2),
        ):
            outcomes, detail = await transact(preconditions=[bad])
            assert outcomes == ["precondition"]
            assert json.loads(detail)["name"] == bad.key.name
        one, two = "1" * 40, "2" * 40
        outcomes, detail = await transact(refs=[RefUpdate("r", "refs/heads/main", one, two)])
        assert outcomes == ["precondition"]
        assert json.loads(detail) == {"repository": "r", "ref": "refs/heads/main", "expected": one, "found": ""}
        assert plain.execute("SELECT count(*) FROM objects").fetchone() == count
        for old, new in (("", one), (one, two), (two, "")):
            assert (await transact(refs=[RefUpdate("r", "refs/heads/main", old, new, '{"ok": true}')]))[0] == [
                "written"
            ]
        assert plain.execute("SELECT count(*) FROM git_refs").fetchone() == (0,)
        pushes = plain.execute("SELECT old_id, new_id, actor, result ->> 'ok' FROM git_pushes ORDER BY id").fetchall()
        assert pushes == [("", one, "tester", "true"), (one, two, "tester", "true"), (two, "", "tester", "true")]
        # A ref that moves in a transaction whose member fails does not move.
        request = Request([update(key("none"), "u")], [None], ORIGIN, True, (), [RefUpdate("r", "x", "", one)])
        assert [v.outcome for v in (await call_raw(database_url, request)).verdicts] == [Outcome.NOT_FOUND]
        assert plain.execute("SELECT count(*) FROM git_refs").fetchone() == (0,)


async def test_a_quota_refusal_says_what_is_used_asked_and_allowed(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as plain:
        plain.execute(RESET)
        members = [create(key(name), charge={"pods": 1}) for name in NAMES]
        got = await call_raw(database_url, Request(members, [None] * 3, ORIGIN))
        assert [v.outcome.value for v in got.verdicts] == ["written", "written", "quota"]
        assert got.verdicts[2].exceeded == [Exceeded("quota/ns/q", "pods", 2, 1, 2)]
