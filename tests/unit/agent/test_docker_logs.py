"""Docker's own log files, rotated ones too."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import orjson
import pytest

from moorage_agent.engine import docker_logs
from moorage_agent.engine.contract import LogOptions

IDENTITY = "a" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "containers" / IDENTITY
    folder.mkdir(parents=True)
    for suffix, numbers in ((".10", "0"), (".2", "12"), (".1", "3"), ("", "45")):
        lines = [
            f'{{"log":"line {number}\\n","stream":"stdout","time":"2026-01-01T00:00:0{number}.5Z"}}\n'
            for number in numbers
        ]
        (folder / f"{IDENTITY}-json.log{suffix}").write_text("".join(lines))
    with (folder / f"{IDENTITY}-json.log").open("a") as newest:
        newest.write('{"log":"half')
    return tmp_path


def _read(root: Path, **options: object) -> str:
    wanted = LogOptions(**options)  # type: ignore[arg-type]  # passed on as they are
    path = docker_logs.file(root, IDENTITY)
    assert path is not None
    return drained(docker_logs.LogFiles(path, wanted))


def drained(log: docker_logs.LogFiles) -> str:
    """All that is there."""
    pieces = list(iter(log.read, b""))
    log.close()
    return b"".join(pieces).decode()


def test_all_files_are_read_in_order_without_what_is_half_written(root: Path) -> None:
    assert _read(root) == "".join(f"line {number}\n" for number in range(6))


def test_the_end_is_found_over_files(root: Path) -> None:
    assert _read(root, tail=3) == "line 3\nline 4\nline 5\n"
    assert _read(root, tail=0) == ""
    assert _read(root, tail=100) == _read(root)


def test_times_are_shown_and_compared(root: Path) -> None:
    assert _read(root, since=1767225604.2) == "line 4\nline 5\n"
    assert _read(root, tail=1, timestamps=True) == "2026-01-01T00:00:05.500000000Z line 5\n"


def test_where_there_are_no_files_there_is_nothing(tmp_path: Path) -> None:
    assert docker_logs.file(tmp_path, IDENTITY) is None


class Writer:
    """Docker's driver: writes entries and rotates, three files at most."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{IDENTITY}-json.log"
        self.path.touch()
        self.written: list[str] = []

    def write(self, *texts: str) -> None:
        with self.path.open("a") as file:
            for text in texts:
                entry = {"log": text, "stream": "stdout", "time": "2026-01-01T00:00:00.5Z"}
                file.write(orjson.dumps(entry).decode() + "\n")
                self.written.append(text)

    def rotate(self) -> None:
        for number in (2, 1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))
        self.path.touch()


@pytest.mark.parametrize("seed", range(30))
def test_a_follower_sees_each_entry_once_whenever_files_rotate(tmp_path: Path, seed: int) -> None:
    chance, writer = Random(seed), Writer(tmp_path)
    log = docker_logs.LogFiles(writer.path, LogOptions(follow=True))
    seen = b""
    for number in range(60):
        writer.write(*(f"{number} {one}\n" for one in range(chance.randrange(3))))
        if chance.random() < 0.3:
            writer.rotate()
        if chance.random() < 0.4 or number % 4 == 0:  # often enough that nothing is rotated away unread
            seen += b"".join(iter(log.read, b""))
        elif chance.random() < 0.2:
            seen += log.read()
    seen += b"".join(iter(log.read, b""))
    log.close()
    lost = len(writer.written) - seen.decode().count("\n")
    assert seen.decode() == "".join(writer.written), f"{lost} lines lost"


def test_what_is_rotated_away_is_lost_and_the_rest_goes_on(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    log = docker_logs.LogFiles(writer.path, LogOptions(follow=True))
    for number in range(9):
        writer.write(f"{number}\n")
        writer.rotate()
    writer.write("last\n")
    assert drained(log).split() == ["0", "6", "7", "8", "last"], "the file that was open, and those that are left"


def test_a_long_line_has_one_time_and_is_never_whole_in_memory(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    part = "x" * 16_384
    writer.write(*[part] * 200, "end\n", "next\n")
    stamped = drained(docker_logs.LogFiles(writer.path, LogOptions(timestamps=True)))
    stamp = "2026-01-01T00:00:00.500000000Z "
    assert stamped == f"{stamp}{part * 200}end\n{stamp}next\n"
    log = docker_logs.LogFiles(writer.path, LogOptions())
    assert max(map(len, iter(log.read, b""))) <= docker_logs.PIECE
    log.close()


@pytest.mark.parametrize("tail", [0, 1, 2, 5, 7, 8, 100])
def test_the_tail_over_files_of_any_size(tmp_path: Path, tail: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_logs, "PIECE", 100)
    writer = Writer(tmp_path)
    for number in range(8):
        writer.write(f"{number} {'y' * 70}\n")
        if number in (2, 6):
            writer.rotate()
    wanted = writer.written[len(writer.written) - min(tail, 8) :]
    assert drained(docker_logs.LogFiles(writer.path, LogOptions(tail=tail))) == "".join(wanted)


def test_no_descriptor_is_left_open(root: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for tail in (None, 0, 2, 100):
        _read(root, tail=tail)
    assert os.listdir("/proc/self/fd") == before
