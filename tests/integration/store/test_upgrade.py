"""From the schema of 0.2 (v0001) to the present one with data in it, and both programs on the new schema side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import psycopg
import pytest

import moorage_migrations
from moorage import server_database
from moorage.server_config import ConfigError
from moorage.store import StoreSettings
from moorage.store.audit_log import AuditQuery
from moorage.store.commit import Batch, Request, parameters
from moorage.store.contracts import EventType, Op, Outcome, RefUpdate, SealContext, Verdict, Write
from moorage.store.database import Database
from moorage.store.pipe import Pipe
from moorage.store.wire import read_int2_array
from tests.support.store import ORIGIN, PODS, SECRETS, FixedSealer, create, delete, key, names, store, update
from tests.support.wait import until

FORMER_ARGUMENTS = 26
"""Of the commit function of 0.2; what came since stands behind them."""
_PLACES = ", ".join(f"${number}" for number in range(1, FORMER_ARGUMENTS + 1))
FORMER = f"PREPARE former AS SELECT outcomes, last_revision FROM moorage_commit_1({_PLACES})"


class FormerProgram:
    """Writes as the program of 0.2 did: with its own function and its own arguments."""

    def __init__(self, pipe: Pipe, sealer: FixedSealer) -> None:
        self._pipe = pipe
        self._sealer = sealer

    async def commit(self, writes: Sequence[Write], refs: Sequence[RefUpdate] = ()) -> int:
        """All or none; the last revision."""
        writes = [replace(each, tenant="") for each in writes]
        sealed = [
            await self._sealer.seal(each.encoded.body, SealContext(*each.key, each.uid))
            if each.sealed and each.encoded is not None
            else None
            for each in writes
        ]
        request = Request(writes, sealed, ORIGIN, True, (), refs)
        arguments = parameters(Batch([request]), "former", 1, 1)[:FORMER_ARGUMENTS]
        result = await self._pipe.execute(b"former", arguments)
        assert set(read_int2_array(result.get_value(0, 0) or b"")) <= {0}
        return int.from_bytes(result.get_value(0, 1) or b"", "big")


@asynccontextmanager
async def former_program(url: str) -> AsyncIterator[FormerProgram]:
    """The former program, connected."""
    connection = await Database(url, password=None, server_name="former", settings=StoreSettings()).connect()
    cluster = await (await connection.execute("SELECT uid FROM cluster")).fetchone()
    assert cluster is not None
    await connection.execute("INSERT INTO writers VALUES ('former', 1, 'f', now()) ON CONFLICT DO NOTHING")
    await connection.execute("SELECT moorage_make_partition_1(1, 100000)")
    await connection.execute(FORMER.encode())
    pipe = Pipe(connection, lost=lambda: None)
    try:
        yield FormerProgram(pipe, FixedSealer(None, cluster[0]))  # type: ignore[arg-type] # it asks no key store
    finally:
        await pipe.close()


async def fill(url: str) -> int:
    """What a cluster of 0.2 holds; its newest revision."""
    async with former_program(url) as former:
        created = await former.commit(
            [
                create(key("stays"), uid="u1", charge={"pods": 1}, spec={"image": "a"}),
                create(key("goes"), uid="u2", charge={"pods": 1}),
                create(key("s", resource=SECRETS), uid="u3", sealed=True, data={"password": "canary-old"}),
            ],
            [RefUpdate("repo", "refs/heads/main", "", "1" * 40)],
        )
        await former.commit([update(key("stays"), "u1", charge={"pods": 1}, spec={"image": "b"})])
        last = await former.commit([delete(key("goes"))])
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute("SELECT moorage_set_quota_1('namespace/ns', 'pods', 3)")
    assert created == last - 2
    return last


async def test_everything_that_was_there_is_there_after_the_upgrade(empty_database_url: str) -> None:
    url = empty_database_url
    await asyncio.to_thread(moorage_migrations.upgrade, url, revision="0001")
    last = await fill(url)
    assert await asyncio.to_thread(server_database.prepare, url, "") == url
    async with store(url, "new") as new:
        pods, secrets = await new.cache(PODS), await new.cache(SECRETS)
        assert (names(pods.entries()), pods.revision) == (["stays"], last)
        assert secrets.entries()[0].document()["data"] == {"password": "canary-old"}
        # History: as it was before the last two commits, and what has happened since.
        before = await new.list_at(PODS, last - 2)
        assert [(each.key.name, each.document().get("spec")) for each in before] == [
            ("goes", None),
            ("stays", {"image": "a"}),
        ]
        watch = pods.subscribe(last - 2)
        events = [(change.type, change.entry.key.name) for change in await anext(aiter(watch))]
        watch.close()
        assert events == [(EventType.MODIFIED, "stays"), (EventType.DELETED, "goes")]
        assert await new.refs("repo") == {"refs/heads/main": "1" * 40}
        # What the former program wrote can be written on: its quotas count, its secrets get a history, its rows a digest.
        stays = pods.get("ns", "stays")
        assert stays is not None
        more = [create(key(f"p{number}"), charge={"pods": 1}) for number in range(3)]
        outcomes = [verdict.outcome for verdict in await new.commit(more, ORIGIN)]
        assert outcomes == [Outcome.WRITTEN, Outcome.WRITTEN, Outcome.QUOTA]
        of = key("s", resource=SECRETS)
        changed = Write(Op.UPDATE, of, "u3", update(of, "u3", data={"password": "canary-new"}).encoded, sealed=True)
        await new.commit([changed, update(key("stays"), "u1", expect=stays.revision, charge={"pods": 1})], ORIGIN)
        (version,) = await new.secret_versions.list("ns", "s")
        assert version.version == 1
        await new.commit([delete(key("stays"))], ORIGIN)
        deleted, updated = (await new.audit.rows(AuditQuery(name="stays")))[0]
        assert (updated.old_digest, updated.new_digest) == ("", deleted.old_digest)
        assert (await new.audit.verify()).problems == []


async def test_the_former_program_may_write_until_it_is_replaced(database_url: str) -> None:
    async with store(database_url, "new") as new, former_program(database_url) as former:
        pods = await new.cache(PODS)
        first = await former.commit([create(key("theirs"), uid="u1", charge={"pods": 1})])
        verdict = (await new.commit([create(key("ours"), uid="u2")], ORIGIN))[0]
        assert verdict == Verdict(Outcome.WRITTEN, first + 1)
        await until(lambda: names(pods.entries()) == ["ours", "theirs"])
        await new.commit([update(key("theirs"), "u1", expect=first, spec={"by": "new"})], ORIGIN)
        await former.commit([delete(key("ours")), update(key("theirs"), "u1", spec={"by": "former"})])
        await until(lambda: names(pods.entries()) == ["theirs"])
        rows = [(row.verb, row.name) for row in (await new.audit.rows(AuditQuery(resource="pods")))[0]]
        assert rows[::-1] == [
            ("create", "theirs"),
            ("create", "ours"),
            ("update", "theirs"),
            ("delete", "ours"),
            ("update", "theirs"),
        ]
        assert (await new.audit.verify()).problems == []


async def test_a_schema_of_a_newer_program_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(
        ConfigError, match=r"migrated by a newer Moorage \(schema 9999, this one knows 0002\); run that version"
    ):
        await asyncio.to_thread(server_database.prepare, database_url, "")
