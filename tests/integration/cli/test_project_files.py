"""What a newcomer runs first: the lock, the Makefile, the scripts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ;]", name)[0]).lower()


def test_every_dependency_is_locked_by_hash_and_no_index_is_named() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    blocks = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)(.*(?:\n    .*)*)", text, re.MULTILINE)
    assert all("--hash=sha256:" in rest for _, _, rest in blocks)
    locked = {normal(name) for name, _, _ in blocks}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {
        normal(name)
        for names in (
            project["project"]["dependencies"],
            *project["project"]["optional-dependencies"].values(),
            project["build-system"]["requires"],
        )
        for name in names
    }
    assert wanted - locked == set()


def test_make_lists_its_targets() -> None:
    out = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    for target in ("up", "down", "clean", "test", "check", "chaos", "bench", "lock", "venv"):
        assert re.search(rf"^  {target} +\S", out, re.MULTILINE), target


def script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "scripts" / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_an_engine_that_does_not_answer_is_named() -> None:
    done = script("ensure-engine", sys.executable, DOCKER_HOST="unix:///nonexistent.sock")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "no Docker Engine answers at DOCKER_HOST=unix:///nonexistent.sock; start it, or unset DOCKER_HOST"
    )


def test_an_engine_that_answers_is_left_alone() -> None:
    done = script("ensure-engine", sys.executable)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_cannot_be_installed_is_said(tmp_path: Path) -> None:
    """Without apt, the script only says what to do."""
    for tool in ("bash", "id"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = subprocess.run(
        ["/bin/bash", str(ROOT / "scripts" / "ensure-packages"), "bash:bash", "wrk:wrk", "dockerd:docker.io"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr == "missing: wrk docker.io. Install with: sudo apt-get install wrk docker.io\n"


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for tool in ("bash", "dirname"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = script("make-venv", str(old), str(tmp_path / "venv"), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "Moorage needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()
