"""The embedded PostgreSQL: private, restartable after any death, and of no trouble to its neighbours."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from moorage.supervisor import postgres_place
from moorage.supervisor.postgres import Postgres
from moorage.supervisor.postgres_place import PostgresError


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="moorage-pg-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def cluster(directory: Path) -> Iterator[Postgres]:
    with (directory / "log").open("wb") as log:
        cluster = Postgres(directory, log=log)
        yield cluster
        cluster.remove()


def value(cluster: Postgres, statement: str) -> object:
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def refusal(cluster: Postgres) -> str:
    """What another user of the machine is told."""
    stranger = pwd.getpwnam("daemon")
    result = subprocess.run(
        [str(cluster.place.programs / "bin" / "psql"), "-c", "SELECT 1", cluster.url],
        capture_output=True,
        check=False,
        text=True,
        cwd="/",
        user=stranger.pw_uid,
        group=stranger.pw_gid,
        extra_groups=[],
    )
    assert result.returncode != 0
    return result.stderr


def test_it_keeps_its_data_over_stops_and_starts(cluster: Postgres) -> None:
    cluster.start()
    assert value(cluster, "SELECT current_user || ' ' || current_database()") == "moorage moorage"
    assert value(cluster, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        assert value(cluster, f"SHOW {setting}") == "on"
    assert value(cluster, "SHOW listen_addresses") == ""
    value(cluster, "CREATE TABLE t AS SELECT 7 AS x")
    cluster.stop()
    assert cluster.processes() == {}
    cluster.start()
    assert value(cluster, "SELECT x FROM t") == 7


def test_a_killed_postmaster_and_its_orphans_are_cleared_away(cluster: Postgres) -> None:
    cluster.start()
    value(cluster, "CREATE TABLE t AS SELECT 7 AS x")
    assert cluster.process is not None
    # A backend that is stopped cannot notice that its postmaster is gone.
    with psycopg.connect(cluster.url) as connection:
        orphan = connection.info.backend_pid
        os.kill(orphan, signal.SIGSTOP)
        os.kill(cluster.process.pid, signal.SIGKILL)
        cluster.process.wait()
        assert orphan in cluster.processes()
        cluster.start()
        assert orphan not in cluster.processes()
        connection.close()
    assert value(cluster, "SELECT x FROM t") == 7


def test_a_supervisor_that_was_killed_leaves_a_database_that_the_next_one_takes_over(directory: Path) -> None:
    script = "import sys; from pathlib import Path; from moorage.supervisor.postgres import Postgres\n"
    script += "p = Postgres(Path(sys.argv[1])); p.start(); print(p.process.pid, flush=True); sys.stdin.read()"
    first = subprocess.Popen(
        [sys.executable, "-c", script, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert first.stdin is not None
    assert first.stdout is not None
    former = int(first.stdout.readline())
    with (directory / "log").open("wb") as log:
        second = Postgres(directory, log=log)
        with pytest.raises(PostgresError, match="in use by another running installation"):
            second.start()
        first.kill()
        first.wait()
        first.stdin.close()
        first.stdout.close()
        assert former in second.processes()
        try:
            second.start()
            assert former not in second.processes()
            assert value(second, "SELECT 1") == 1
        finally:
            second.remove()


def test_a_stale_pid_file_does_not_hinder_or_harm(cluster: Postgres) -> None:
    cluster.start()
    cluster.stop()
    # The number now belongs to somebody else: to us.
    (cluster.place.data / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.place.data}\n0\n5432\n\n\n")
    cluster.start()
    assert value(cluster, "SELECT 1") == 1


def test_an_interrupted_first_start_is_begun_again(cluster: Postgres) -> None:
    draft = cluster.place.data.with_name("postgres.new")
    draft.mkdir()
    (draft / "half").write_text("half a cluster")
    cluster.start()
    assert value(cluster, "SELECT 1") == 1
    assert not draft.exists()


def test_two_clusters_do_not_touch_each_other(cluster: Postgres) -> None:
    cluster.start()
    with tempfile.TemporaryDirectory(prefix="moorage-pg-") as name:
        Path(name).chmod(0o755)
        with (Path(name) / "log").open("wb") as log:
            other = Postgres(Path(name), log=log)
            try:
                other.start()
                other.clear_remains()
                assert other.processes() == {}
                assert cluster.process is not None
                assert cluster.process.poll() is None
                assert value(cluster, "SELECT 1") == 1
            finally:
                other.remove()


def test_a_foreign_directory_is_left_alone(cluster: Postgres) -> None:
    cluster.place.data.mkdir()
    (cluster.place.data / "letters.txt").write_text("mine")
    with pytest.raises(PostgresError, match="no PostgreSQL cluster; move it away"):
        cluster.start()
    assert (cluster.place.data / "letters.txt").read_text() == "mine"
    (cluster.place.data / "letters.txt").unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's identity")
def test_nobody_else_gets_in(cluster: Postgres) -> None:
    cluster.start()
    assert "Permission denied" in refusal(cluster)
    # Were the directory open, the kernel's word on who connects would still not match.
    for path in (cluster.place.sockets, cluster.place.sockets / ".s.PGSQL.5432"):
        path.chmod(0o777)
    assert "Peer authentication failed" in refusal(cluster)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_a_private_home_is_worked_around(directory: Path) -> None:
    private = directory / "home" / ("deep" * 25)
    private.mkdir(parents=True)
    (directory / "home").chmod(0o700)
    with (directory / "log").open("wb") as log:
        cluster = Postgres(private, log=log)
        try:
            cluster.start()
            assert value(cluster, "SELECT 1") == 1
            assert not cluster.place.data.is_relative_to(directory)
            assert (private / "postgres").readlink() == cluster.place.data
            assert Postgres(private).url == cluster.url
        finally:
            cluster.remove()
        assert not cluster.place.data.parent.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_programs_that_the_account_cannot_reach_are_copied_once(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = directory / "state"
    monkeypatch.setattr(postgres_place, "STATE_HOME", state)
    monkeypatch.setattr(postgres_place, "reachable", lambda path, account: "pginstall" not in path.parts)
    with (directory / "log").open("wb") as log:
        cluster = Postgres(directory, log=log)
        try:
            cluster.start()
            assert value(cluster, "SELECT 1") == 1
            assert cluster.place.programs.is_relative_to(state)
            assert {Path(program).parent for program in cluster.processes().values()} == {
                cluster.place.programs / "bin"
            }
            (made,) = state.iterdir()
            before = made.stat().st_mtime_ns
            assert Postgres(directory).place.programs == cluster.place.programs
            assert made.stat().st_mtime_ns == before
        finally:
            cluster.remove()


def test_reach_is_decided_by_every_directory_on_the_way(directory: Path) -> None:
    stranger = postgres_place.Account("stranger", 4242, 4242)
    deep = directory / "a" / "b" / "c"
    deep.mkdir(parents=True)
    assert postgres_place.reachable(deep / "file", stranger)
    (directory / "a").chmod(0o750)
    assert not postgres_place.reachable(deep / "file", stranger)
    assert postgres_place.reachable(deep, postgres_place.Account("member", 4242, (directory / "a").stat().st_gid))
    assert postgres_place.reachable(deep, postgres_place.Account("owner", os.geteuid(), 4242))
