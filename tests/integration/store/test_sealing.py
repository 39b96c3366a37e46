"""Sealed documents: readable through the store, nowhere in the clear on PostgreSQL's disk."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import moorage_migrations
from moorage.store import SealBroken
from moorage.supervisor.postgres import SUPERUSER, Postgres
from tests.support.store import ORIGIN, SECRETS, create, delete, key, names, store, update

CANARIES = ("canary-created-7f3a", "canary-updated-91bc")


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="moorage-seal-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with (directory / "postgres.log").open("wb") as log:
            # Everything that PostgreSQL would ever log, so that the search below means something.
            cluster = Postgres(directory, log=log, settings={"log_statement": "all", "full_page_writes": "on"})
            try:
                cluster.start()
                moorage_migrations.upgrade(cluster.url)
                yield cluster
            finally:
                cluster.remove()


def on_disk(directory: Path, text: str) -> list[str]:
    """Files that hold a text, plain or in base64."""
    needles = (text.encode(), base64.b64encode(text.encode())[:-4])
    contents = ((path, path.read_bytes()) for path in directory.rglob("*") if path.is_file())
    return [path.name for path, content in contents if any(needle in content for needle in needles)]


async def test_no_canary_reaches_the_disk(cluster: Postgres) -> None:
    secret = key("s", resource=SECRETS)
    async with store(cluster.url, "one", ring_changes=1) as one, store(cluster.url, "two") as two:
        cache, other = await one.cache(SECRETS), await two.cache(SECRETS)
        await one.commit([create(secret, uid="u", sealed=True, data=CANARIES[0])], ORIGIN)
        await one.commit([update(secret, "u", sealed=True, data=CANARIES[1])], ORIGIN)
        await one.commit([create(key("open", resource=SECRETS), note="canary-in-the-clear")], ORIGIN)
        for server, pods in ((one, cache), (two, other)):
            await pods.wait(await server.latest())
            entry = pods.get("ns", "s")
            assert entry is not None
            assert entry.document()["data"] == CANARIES[1]
            assert CANARIES[1] not in repr(entry)
        (first, *_) = await two.list_at(SECRETS, 2)
        assert first.document()["data"] == CANARIES[0]
        # Beyond the ring, from the log: old and previous states are sealed as well, and opened.
        watch = cache.subscribe(1)
        (created, updated, _) = await anext(aiter(watch))
        assert created.entry.document()["data"] == CANARIES[0]
        assert updated.previous is not None
        assert updated.previous.document()["data"] == CANARIES[0]
        watch.close()
        await one.commit([delete(secret)], ORIGIN)
    async with store(cluster.url, "three") as three:
        assert names((await three.cache(SECRETS)).entries()) == ["open"]
        assert (await three.list_at(SECRETS, 3))[0].document()["data"] == CANARIES[1]
    with psycopg.connect(cluster.url_for("moorage", SUPERUSER), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        assert connection.execute("SELECT count(*) FROM revisions WHERE sealed IS NOT NULL").fetchone() == (3,)
    cluster.stop()
    assert on_disk(cluster.directory, "canary-in-the-clear") != []
    for canary in CANARIES:
        assert on_disk(cluster.directory, canary) == []


async def test_a_document_that_was_moved_is_not_readable_and_stops_nothing_else(database_url: str) -> None:
    async with store(database_url, "one") as one, store(database_url, "two") as two:
        seals, other = await one.cache(SECRETS), await two.cache(SECRETS)
        await one.commit([create(key("s", resource=SECRETS), uid="u", sealed=True, data="x")], ORIGIN)
        await one.commit([create(key("t", resource=SECRETS), uid="v", sealed=True, data="y")], ORIGIN)
        await other.wait(await two.latest())
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "UPDATE objects SET sealed = (SELECT o.sealed FROM objects o WHERE o.name = 's') WHERE name = 't'"
            )
        async with store(database_url, "three") as three:
            with pytest.raises(SealBroken, match="ns/t cannot be decrypted"):
                await three.cache(SECRETS)
            # Deleting what cannot be read repairs it.
            await three.commit([delete(key("t", resource=SECRETS))], ORIGIN)
            assert names((await three.cache(SECRETS)).entries()) == ["s"]
        for cache in (other, seals):
            await cache.wait(await two.latest())
        assert names(other.entries()) == names(seals.entries()) == ["s"]
