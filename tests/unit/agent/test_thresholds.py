"""When a node runs short: thresholds as the kubelet writes them, and what the machine says."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage_agent.node import machine, thresholds
from moorage_agent.node.machine import Level, Pressure
from moorage_agent.node.thresholds import HARD, Met


def test_thresholds_are_written_as_the_kubelets() -> None:
    given = thresholds.parse("memory.available<200Mi,nodefs.available<12.5%, pid.available<1k")
    assert given == {"memory.available": "200Mi", "nodefs.available": "12.5%", "pid.available": "1k"}
    assert thresholds.parse("") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("memory.available", "invalid eviction threshold syntax"),
        ("memory.available<", "invalid eviction threshold syntax"),
        ("cpu.available<1", "unsupported eviction signal 'cpu.available'"),
        ("memory.available<-1Mi", "must be positive"),
        ("memory.available<100%", "less than 100"),
        ("memory.available<much", "much"),
    ],
)
def test_bad_thresholds_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        thresholds.parse(text)


def test_what_is_passed_comes_with_its_amounts_memory_first() -> None:
    levels = {
        "nodefs.available": Level(9.0, 100.0),
        "nodefs.inodesFree": Level(6.0, 100.0),
        "memory.available": Level(99 * 2**20, 2**30),
        "pid.available": Level(5.0, 100.0),
    }
    passed = thresholds.met(levels, HARD)
    assert passed == [Met("memory.available", 100 * 2**20, 99 * 2**20), Met("nodefs.available", 10.0, 9.0)]
    assert thresholds.pressure(passed) == Pressure(memory=True, disk=True)
    assert thresholds.conditions(Pressure(disk=True, pids=True)) == ["DiskPressure", "PIDPressure"]
    assert thresholds.pressure(thresholds.met({"imagefs.inodesFree": Level(1, 100)}, HARD)) == Pressure(disk=True)


def test_this_machine_says_what_it_has(tmp_path: Path) -> None:
    levels = machine.levels(tmp_path)
    assert {"memory.available", "pid.available", "nodefs.available"} <= levels.keys()
    assert "imagefs.available" not in machine.levels(tmp_path, tmp_path)
    for level in levels.values():
        assert 0 < level.available <= level.capacity
    elsewhere = Path("/dev/shm")
    if elsewhere.is_dir() and elsewhere.stat().st_dev != tmp_path.stat().st_dev:
        assert machine.levels(tmp_path, elsewhere)["imagefs.available"].capacity > 0


def test_the_smallest_limit_of_processes_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CONTROL_GROUPS", tmp_path)
    for path, most in (("pids/node", "40"), ("node", "max")):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "pids.max").write_text(most + "\n")
        (tmp_path / path / "pids.current").write_text("33\n")
    assert machine.levels(tmp_path, group="node")["pid.available"] == Level(7, 40)
    assert machine.levels(tmp_path)["pid.available"].capacity > 40
    assert machine.processes().available > 40
