"""``docs/security.md`` lists every attack, and nothing that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
HERE = Path(__file__).resolve().parent


def names_in(file: Path) -> set[str]:
    """``module::function`` of each test of a module."""
    functions = (
        node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {f"{file.stem}::{node.name}" for node in functions if node.name.startswith("test_")}


def test_the_page_and_the_suite_agree() -> None:
    there = set[str]().union(*(names_in(file) for file in HERE.glob("test_*.py") if file.stem != "test_listed"))
    listed = re.findall(r"`(test_\w+::test_\w+)`", PAGE.read_text())
    assert sorted(there - set(listed)) == [], "attacks that docs/security.md does not list"
    assert sorted(set(listed) - there) == [], "attacks that docs/security.md lists and that are not there"
    assert len(listed) == len(set(listed)), "attacks that docs/security.md lists twice"


def test_files_that_the_page_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", PAGE.read_text())
    assert named
    assert [each for each in named if not (ROOT / each).exists()] == []
