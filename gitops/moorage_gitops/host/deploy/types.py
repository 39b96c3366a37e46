"""Wrong types and unknown fields of an object, every one with its path: the API's decoder stops at the first and names no line.

Pure. Only looked at where the kind's schema refuses the document; values beyond types (quantities, names) are the API's to judge.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from moorage.resources import schemas
from moorage.resources.kind import Document, Kind
from moorage.resources.schemas import Node
from moorage.resources.schemas.definitions import FREE_FORM, INT_OR_STRING, PREFIX, QUANTITY

_SHOWN = 60
_TEXT = {"QUANTITY": "a quantity like 500m or 1Gi", "INT_OR_STRING": "an integer or a text"}


def check(kind: Kind, document: Document) -> list[tuple[str, str]]:
    """(path, message) for each wrong type and unknown field; no value of a sealed kind is in a message."""
    if not schemas.type_errors(kind, document) and not schemas.unknown_fields(kind, document):
        return []
    return list(_walk({"$ref": f"{PREFIX}{kind.schema}"}, document, "", kind.sealed))


def _walk(node: Node, value: Any, path: str, sealed: bool) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    name = str(node.get("$ref", "")).removeprefix(PREFIX)
    if name in FREE_FORM:
        return
    if name in (QUANTITY, INT_OR_STRING):
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            yield path, _wrong(path, value, _TEXT["QUANTITY" if name == QUANTITY else "INT_OR_STRING"], sealed)
        return
    resolved = schemas.resolve(node)
    expected = _type(resolved)
    if expected and not _is(expected, value):
        yield path, _wrong(path, value, _expected(expected, value), sealed)
    elif expected == "integer" and not _in_range(resolved, value):
        yield path, _wrong(path, value, f"must fit into {resolved.get('format', 'int64')}", sealed)
    elif isinstance(value, list) and "items" in resolved:
        for index, item in enumerate(value):
            yield from _walk(resolved["items"], item, f"{path}[{index}]", sealed)
    elif isinstance(value, dict):
        yield from _fields(resolved, value, path, sealed)


def _fields(node: Node, value: Mapping[str, Any], path: str, sealed: bool) -> Iterator[tuple[str, str]]:
    properties: Mapping[str, Node] = node.get("properties", {})
    free = node.get("additionalProperties")
    if not properties and not isinstance(free, Mapping):
        return
    for key, item in value.items():
        if key in properties:
            yield from _walk(properties[key], item, f"{path}.{key}" if path else key, sealed)
        elif isinstance(free, Mapping):
            yield from _walk(free, item, f"{path}[{key}]", sealed)
        else:
            here = f"{path}.{key}" if path else key
            close = difflib.get_close_matches(key, list(properties), 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield here, f'unknown field "{here}"{hint}'


def _type(node: Node) -> str:
    kinds = node.get("type")
    if isinstance(kinds, list):
        return next((str(kind) for kind in kinds if kind != "null"), "")
    return str(kinds or "")


def _is(expected: str, value: Any) -> bool:
    match expected:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)


def _in_range(node: Node, value: int) -> bool:
    limit: int = 1 << (31 if node.get("format") == "int32" else 63)
    return -limit <= value < limit


def _expected(expected: str, value: Any) -> str:
    scalar = isinstance(value, str | int | float)
    words = {
        "string": "a text; put it in quotes" if scalar else "a text",
        "boolean": "true or false, without quotes" if isinstance(value, str) else "true or false",
        "integer": "an integer, without quotes" if isinstance(value, str) and value.isdigit() else "an integer",
        "number": "a number",
        "array": "a list",
    }
    return f"must be {words.get(expected, 'a mapping')}"


def _wrong(path: str, value: Any, expected: str, sealed: bool) -> str:
    expected = expected if expected.startswith("must") else f"must be {expected}"
    if isinstance(value, dict):
        shown = "a mapping"
    elif isinstance(value, list):
        shown = "a list"
    elif sealed:
        shown = "<hidden>"
    elif isinstance(value, bool):
        shown = "true" if value else "false"
    else:
        shown = f'"{value[:_SHOWN]}"' if isinstance(value, str) else str(value)
    return f"{path}: Invalid value: {shown}: {expected}"
