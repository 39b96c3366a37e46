"""A node's control groups in both versions' layouts, and the notes of what an engine lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage_agent.engine.contract import Container, State
from moorage_agent.engine.groups import Groups, name_of, prefix_of
from moorage_agent.engine.lost import Lost

FIRST, SECOND = "a" * 64, "b" * 64


def test_nodes_have_groups_of_their_own() -> None:
    assert len({name_of("one", "n"), name_of("one", "m"), name_of("two", "n")}) == 3
    assert name_of("one", "n").startswith(prefix_of("one"))


def test_an_engine_is_told_what_its_driver_takes() -> None:
    groups = Groups("moorage-1-2")
    assert groups.parent("cgroupfs") == "/moorage-1-2"
    assert groups.parent("systemd") == "moorage_1_2.slice"
    assert groups.parent("none") == ""


@pytest.mark.parametrize(
    "paths",
    [
        [f"pids/moorage-1-2/{FIRST}", f"memory/moorage-1-2/{SECOND}/inner"],
        [f"moorage-1-2/{FIRST}", f"moorage-1-2/{SECOND}"],
        [f"moorage_1_2.slice/docker-{FIRST}.scope", f"moorage_1_2.slice/docker-{SECOND}.scope"],
    ],
)
def test_containers_are_found_in_every_layout(tmp_path: Path, paths: list[str]) -> None:
    for path in (*paths, "pids/docker/" + "c" * 64, "moorage-1-3/" + "d" * 64, "moorage-1-2/other"):
        (tmp_path / path).mkdir(parents=True)
    groups = Groups("moorage-1-2", tmp_path, tmp_path / "no-processes")
    assert groups.containers() == {FIRST, SECOND}
    assert groups.has(FIRST)
    assert not groups.has("d" * 64)
    assert groups.end(SECOND)
    assert groups.containers() == {FIRST}
    assert groups.end(FIRST)
    assert not groups.containers()


def test_a_group_that_is_in_use_stays(tmp_path: Path) -> None:
    used = tmp_path / "moorage-1-2" / FIRST
    used.mkdir(parents=True)
    (used / "cgroup.procs").write_text("")
    Groups("moorage-1-2", tmp_path).remove()
    assert used.is_dir()


def test_what_an_engine_lost_has_ended_also_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "lost.json"
    Lost(file, clock=lambda: 50.0).add(FIRST)
    again = Lost(file)
    created = Container(FIRST, "name", State.CREATED, created=40.0)
    seen = again.seen(created)
    assert (seen.state, seen.exit_code, seen.started, seen.finished) == (State.EXITED, 137, 40.0, 50.0)
    other = Container(SECOND, "other", State.CREATED)
    assert again.seen(other) is other
    again.keep([SECOND])
    assert Lost(file).seen(created) is created


def test_broken_notes_are_told_and_left_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "lost.json").write_text("[1")
    created = Container(FIRST, "name", State.CREATED)
    assert Lost(tmp_path / "lost.json").seen(created) is created
    assert "lost.json is broken" in caplog.text
