"""Docker's own log files, rotated ones too."""

from __future__ import annotations

from pathlib import Path

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
    return docker_logs.read(docker_logs.files(root, IDENTITY), wanted).decode()


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
    assert docker_logs.files(tmp_path, IDENTITY) == []
