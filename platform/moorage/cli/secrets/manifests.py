"""Files of manifests: their documents one by one, so that what is not replaced stays as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from moorage.cli.options import fail
from moorage.cli.secrets.files import read_file, yaml_text
from moorage.cli.secrets.way import Document

Replace = Callable[[Document], Document | None]
"""Gives what stands for a document from now on, or None where it stays."""

_MARK = re.compile(r"^---(?=\s|$)[^\n]*\n?", re.MULTILINE)


def replaced(path: Path, replace: Replace) -> tuple[str, int]:
    """(the file's text with its documents replaced, how many were). Fails where it cannot be read, naming the line."""
    try:
        text = read_file(path).decode()
    except UnicodeDecodeError:
        fail(f"{path}: not UTF-8")
    if text.lstrip().startswith("{"):
        return _json(path, text, replace)
    parts, marks = _MARK.split(text), _MARK.findall(text)
    count = 0
    for number, part in enumerate(parts):
        document = _parsed(path, part, "".join(parts[:number]).count("\n") + number)
        new, found = _replaced(document, replace)
        if found:
            parts[number] = yaml_text(new)
            count += found
    whole = parts[0]
    for mark, part in zip(marks, parts[1:], strict=True):
        whole += ("" if whole.endswith("\n") or not whole else "\n") + mark + part
    return whole, count


def documents(path: Path, kind: str) -> list[Document]:
    """All documents of a kind in a file, those of lists too."""
    found: list[Document] = []

    def look(document: Document) -> None:
        if document.get("kind") == kind:
            found.append(document)

    replaced(path, look)
    return found


def _json(path: Path, text: str, replace: Replace) -> tuple[str, int]:
    try:
        document = json.loads(text)
    except ValueError:
        fail(f"{path}: not JSON")
    new, count = _replaced(document, replace)
    return json.dumps(new, indent=2) + "\n" if count else text, count


def _parsed(path: Path, part: str, before: int) -> Any:
    try:
        return yaml.safe_load(part)
    except yaml.MarkedYAMLError as error:
        line = before + (error.problem_mark.line + 1 if error.problem_mark else 1)
        fail(f"{path}:{line}: not YAML: {error.problem}")
    except ValueError:
        fail(f"{path}: not YAML")


def _replaced(document: Any, replace: Replace) -> tuple[Any, int]:
    if not isinstance(document, dict):
        return document, 0
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        pairs = [_replaced(item, replace) for item in document["items"]]
        return {**document, "items": [item for item, _ in pairs]}, sum(count for _, count in pairs)
    new = replace(document)
    return (document, 0) if new is None else (new, 1)
