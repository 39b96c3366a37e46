"""Layout, identities, kubeconfig, record, log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moorage.client import kubeconfig as reader
from moorage.supervisor import identities, kubeconfig, record
from moorage.supervisor.layout import Layout, SetupError, write_private
from moorage.supervisor.log import LogFile, PartLog
from moorage.supervisor.log_reader import read_lines
from moorage.supervisor.process_table import ProcessId
from moorage_tenants.authentication.bootstrap import read_bootstrap
from moorage_tenants.authentication.text import digest


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path / "data")
    layout.make()
    return layout


def test_secrets_are_kept_and_only_their_hashes_are_shown(layout: Layout) -> None:
    identities.ensure(layout, ["n1"], "ab" * 32)
    kept = {file.name: file.read_text().strip() for file in layout.tokens.iterdir()}
    assert set(kept) == {"admin", "controllers", "node-n1"}
    known = read_bootstrap(layout.bootstrap_tokens)
    assert {name: known[digest(token)].name for name, token in kept.items()} == {
        "admin": "admin",
        "controllers": "system:controllers",
        "node-n1": "system:node:n1",
    }
    assert not any(token in layout.bootstrap_tokens.read_text() for token in kept.values())
    for file in (layout.kek, layout.bootstrap_tokens, *layout.tokens.iterdir()):
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_second_start_keeps_them(layout: Layout) -> None:
    identities.ensure(layout, ["n1"], "ab" * 32)
    before = {file: file.read_text() for file in (layout.kek, *layout.tokens.iterdir())}
    identities.ensure(layout, ["n1", "n2"], "ab" * 32)
    assert {file: file.read_text() for file in before} == before


def test_a_node_that_is_not_started_any_more_is_not_accepted_any_more(layout: Layout) -> None:
    identities.ensure(layout, ["n1", "n2"], "ab" * 32)
    identities.ensure(layout, ["n1"], "ab" * 32)
    assert "system:node:n2" not in {identity.name for identity in read_bootstrap(layout.bootstrap_tokens).values()}


def test_a_lost_key_is_not_replaced_while_secrets_are_sealed_with_it(layout: Layout) -> None:
    identities.ensure(layout, [], "ab" * 32)
    (layout.root / "postgres").mkdir()
    (layout.root / "postgres" / "PG_VERSION").write_text("18")
    layout.kek.unlink()
    with pytest.raises(SetupError, match="put it back from your backup"):
        identities.ensure(layout, [], "ab" * 32)


def test_a_kubeconfig_is_read_as_it_was_written(layout: Layout) -> None:
    kubeconfig.write(
        layout.kubeconfig, server="https://127.0.0.1:6443", ca_pem=b"PEM", token="t", user='a"b\\', namespace="blue"
    )
    config = reader.load(layout.kubeconfig)
    assert (config.server, config.ca_pem, config.token) == ("https://127.0.0.1:6443", "PEM", "t")
    assert (config.user, config.namespace) == ('a"b\\', "blue")
    assert layout.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_a_data_directory_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be used"):
        Layout.at(tmp_path / "file" / "data").make()


def test_a_record_is_of_one_boot(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.json"
    assert record.read(path) is None
    parts = [record.PartRecord("server", "ready", 2, 20, 0, 1.5)]
    record.Record(ProcessId(1, 10), "127.0.0.1:1", "0", parts).write(path)
    found = record.read(path)
    assert found is not None
    assert found.supervisor == ProcessId(1, 10)
    assert list(found.parts) == parts
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another"}))
    assert record.read(path) is None
    path.write_text("{")
    assert record.read(path) is None


def test_output_becomes_lines_with_part_and_level(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log")
    log = PartLog("server", file)
    log.feed(b"INFO started\nERROR it broke\nTraceback (most recent call last):\n  File")
    log.feed(b' "x"\n\n\x1b[31mWARNING:  from postgres\nLOG:  checkpoint\nFATAL:  too many\nno end')
    log.end()
    lines = [line.split(maxsplit=3)[1:] for line in (tmp_path / "log").read_text().splitlines()]
    assert lines == [
        ["server", "INFO", "started"],
        ["server", "ERROR", "it broke"],
        ["server", "ERROR", "Traceback (most recent call last):"],
        ["server", "ERROR", 'File "x"'],
        ["server", "ERROR", "[31mWARNING:  from postgres"],
        ["server", "INFO", "checkpoint"],
        ["server", "ERROR", "too many"],
        ["server", "ERROR", "no end"],
    ]
    assert list(log.last)[-1] == "no end"


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    log = PartLog("server", LogFile(tmp_path / "log"))
    log.feed(b"x" * 100_000)
    assert len((tmp_path / "log").read_text().splitlines()[0]) < 17_000


def test_the_log_is_bounded_and_a_reader_follows_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(path, file_bytes=1000, files=3)
    log, other = PartLog("server", file), PartLog("agent/a", file)
    log.line("INFO first")
    lines = read_lines(path, part="server", follow=True)
    assert next(lines).endswith("first\n")
    for number in range(100):
        other.line(f"INFO {number}")
    log.line("INFO last")
    assert next(lines).endswith("last\n")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(found.stat().st_size <= 1000 for found in tmp_path.iterdir())


def test_the_last_lines_of_one_part(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(path)
    for number in range(5):
        for part in ("server", "agent/a"):
            PartLog(part, file).line(f"INFO {number}")
    assert [line.split()[-1] for line in read_lines(path, part="agent/a", tail=2)] == ["3", "4"]
    assert len(list(read_lines(path))) == 10
