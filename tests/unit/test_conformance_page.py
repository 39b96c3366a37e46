"""The pages about conformance name tests that exist: each row a file and the words of a test's name in it."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / name for name in ("conformance.md", "conformance-inventories.md")]
NAMED = re.compile(r"`(tests/[\w/]+\.py)`([^`|;]*)")
"""A file, and what is said after it up to the next one."""


@functools.cache
def _tests(path: Path) -> frozenset[str]:
    """The names of the tests of a file, without ``test_``."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(ast.parse(path.read_text()))
    return frozenset(node.name.removeprefix("test_") for node in nodes if isinstance(node, functions))


def _rows(page: Path) -> list[str]:
    """The rows of the page's tables that name tests."""
    return [line for line in page.read_text().splitlines() if line.startswith("|") and "`tests/" in line]


def _wrong(row: str) -> list[str]:
    found = []
    for file, said in NAMED.findall(row):
        path = ROOT / file
        if not path.exists():
            found.append(f"{file} does not exist")
            continue
        for part in re.sub(r"\(.*?\)", "", said).split(","):
            words = part.strip(" .")
            if words and words.replace(" ", "_").lower() not in _tests(path):
                found.append(f"{file} has no test named {words!r}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_row_names_a_test_that_exists(page: Path) -> None:
    wrong = [f"{row.split('|')[1].strip()}: {text}" for row in _rows(page) for text in _wrong(row)]
    assert not wrong, "\n".join(wrong)
    assert len(_rows(page)) > 50


def test_cases_are_told_once() -> None:
    cases = [row.split(" | ")[0] for row in _rows(PAGES[0])]
    assert len(cases) == len(set(cases)), sorted(case for case in cases if cases.count(case) > 1)


def test_a_test_that_is_none_is_found() -> None:
    here = "tests/unit/test_conformance_page.py"
    assert not _wrong(f"| case | `{here}` cases are told once (twice) |")
    assert _wrong(f"| case | `{here}` cases are told twice |")
    assert _wrong("| case | `tests/unit/none.py` cases |")
