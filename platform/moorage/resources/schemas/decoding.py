"""Decoding a document against its kind: type errors, unknown fields, and the form in which it is stored."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

from moorage.resources.kind import Document, Kind
from moorage.resources.schemas.checked import compile_check
from moorage.resources.schemas.compiled import At, Compiler, Findings
from moorage.resources.schemas.definitions import Node, published

_CLEAN = Findings()
_checks: dict[str, Callable[[Any], bool]] = {}


@cache
def _compiler() -> Compiler:
    return Compiler(published())


def _check(schema: str) -> Callable[[Any], bool]:
    check = _checks.get(schema)
    if check is None:
        check = _checks[schema] = compile_check(published(), schema)
    return check


def add_definition(name: str, node: Node) -> None:
    """Serve a definition of a custom kind, or replace it."""
    published().add(name, node)
    _compiler().forget()
    _checks.clear()


def normalise(kind: Kind, document: Document) -> Findings:
    """Bring ``document`` into stored form, in place, and say what was wrong with it.

    ``errors`` are worded as Kubernetes' decoder words them; the first is what Kubernetes would report, after
    ``Pod in version "v1" cannot be handled as a Pod: ``. Where there are errors the document is half changed: drop it.
    """
    if _check(kind.schema)(document):
        return _CLEAN
    found = Findings(sealed=kind.sealed)
    _compiler().walker(kind.schema).walk(document, At(), found)
    return found


def type_errors(kind: Kind, document: Document) -> list[str]:
    """What keeps ``document`` from being a ``kind``, as decode errors; empty where nothing does. Changes nothing."""
    return [] if _check(kind.schema)(document) else normalise(kind, deepcopy(document)).errors


def unknown_fields(kind: Kind, document: Document) -> list[str]:
    """Paths (``spec.containers[0].foo``) of fields that the kind does not have. Changes nothing."""
    return [] if _check(kind.schema)(document) else normalise(kind, deepcopy(document)).unknown


def prune(kind: Kind, document: Document) -> None:
    """Drop unknown fields, nulls, empty lists and maps; bring times and quantities into canonical form. In place."""
    normalise(kind, document)


def cannot_be_handled(kind: Kind, error: str) -> str:
    """The message of the 400 that a decode error becomes."""
    return f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {error}'


def warm(kinds: list[Kind]) -> None:
    """Load and compile all that ``kinds`` need, so that the first request does not pay for it."""
    published().load([kind.schema for kind in kinds])
    for kind in kinds:
        _check(kind.schema)
