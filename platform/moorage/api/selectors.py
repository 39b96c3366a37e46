"""Label and field selectors: from query strings to predicates.

* ``parse_labels(text)`` -> ``LabelSelector``: ``.matches(labels)``, ``.exact`` (label -> the one value it must have), ``.empty``.
* ``parse_fields(text, supported)`` -> ``FieldSelector``: ``.matches(fields)``, ``.exact``, ``.negative``, ``.empty``.
* ``supported_fields(kind)`` and ``fields_of(kind, document)``: the fields that a kind can be selected by, and their values.

Both are remembered by text. Raises ApiError 400 with Kubernetes' messages. Source: apimachinery's ``labels`` and ``fields``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from moorage.api.errors import bad_request
from moorage.resources.kind import Document, Kind
from moorage.resources.names import label_value, qualified_name

Labels = Mapping[str, str]

_OPERATORS: Final = ("in", "notin", "=", "==", "!=", "gt", "lt")
_TOKEN: Final = re.compile(r"\s*(?:(?P<symbol>!=|==|=|<|>|!|,|\(|\))|(?P<word>[^\s!=<>,()]+))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition. ``operator``: in, notin, exists, !, gt or lt (``=`` is ``in`` with one value, ``!=`` is ``notin``)."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Whether ``labels`` fulfil it. Objects without the label fulfil ``!``, ``!=`` and ``notin``."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        number = _integer(value)
        if number is None:
            return False
        bound = int(next(iter(self.values)))
        return number > bound if self.operator == "gt" else number < bound


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements together. Immutable."""

    requirements: tuple[Requirement, ...] = ()
    exact: Mapping[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.requirements

    def matches(self, labels: Labels) -> bool:
        """Whether an object with ``labels`` is selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Fields that must have (``exact``) or must not have (``negative``) a value. Immutable."""

    exact: Mapping[str, str] = field(default_factory=dict)
    negative: tuple[tuple[str, str], ...] = ()
    contradictory: bool = False

    @property
    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.exact and not self.negative

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with ``fields`` (those of ``fields_of``) is selected. A missing field is ""."""
        if self.contradictory:
            return False
        for key, value in self.exact.items():
            if fields.get(key, "") != value:
                return False
        return all(fields.get(key, "") != value for key, value in self.negative)


EVERY_LABEL: Final = LabelSelector()
EVERY_FIELD: Final = FieldSelector()


@lru_cache(1024)
def parse_labels(text: str) -> LabelSelector:
    """``a=b,c!=d,e in (f,g),h,!i,j>1``. Raises ApiError 400."""
    if not text:
        return EVERY_LABEL
    try:
        requirements = tuple(_Parser(text).requirements())
    except ValueError as error:
        raise bad_request(str(error)) from error
    exact = {
        each.key: next(iter(each.values)) for each in requirements if each.operator == "in" and len(each.values) == 1
    }
    return LabelSelector(requirements, exact)


def parse_fields(text: str, supported: frozenset[str]) -> FieldSelector:
    """``metadata.name=a,status.phase!=Running`` over the ``supported`` fields. Raises ApiError 400."""
    return EVERY_FIELD if not text else _parse_fields(text, supported)


@lru_cache(1024)
def _parse_fields(text: str, supported: frozenset[str]) -> FieldSelector:
    exact: dict[str, str] = {}
    negative: list[tuple[str, str]] = []
    contradictory = False
    for term in _split(text):
        if not term:
            continue
        key, operator, value = _field_term(term, text)
        if key not in supported:
            raise bad_request(f"field label not supported: {key}")
        if operator == "!=":
            negative.append((key, value))
        else:
            contradictory = contradictory or exact.get(key, value) != value
            exact[key] = value
    return FieldSelector(exact, tuple(negative), contradictory)


_COMMON_FIELDS: Final = frozenset({"metadata.name", "metadata.namespace"})
_supported: dict[Callable[[Document], Mapping[str, str]], frozenset[str]] = {}


def supported_fields(kind: Kind) -> frozenset[str]:
    """The fields by which objects of ``kind`` can be selected."""
    known = _supported.get(kind.fields)
    if known is None:
        known = _supported[kind.fields] = _COMMON_FIELDS | frozenset(kind.fields({"metadata": {}}))
    return known


def fields_of(kind: Kind, document: Document) -> dict[str, str]:
    """The selectable fields of an object, with their values."""
    metadata = document.get("metadata") or {}
    return {
        "metadata.name": metadata.get("name", ""),
        "metadata.namespace": metadata.get("namespace", ""),
        **kind.fields(document),
    }


def _integer(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


class _Parser:
    """Recursive descent over the tokens of a label selector."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def requirements(self) -> Iterator[Requirement]:
        """Every requirement. Raises ValueError."""
        if self._peek() == "":
            return
        if not _starts(self._peek()):
            raise ValueError(f"found '{self._peek()}', expected: !, identifier, or 'end of string'")
        while True:
            try:
                requirement = self._requirement()
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from error
            yield requirement
            symbol = self._next()
            if symbol == "":
                return
            if symbol != ",":
                raise ValueError(f"found '{symbol}', expected: ',' or 'end of string'")
            if not _starts(self._peek()):
                raise ValueError(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._next()
        key = self._next()
        if not _is_word(key):
            raise ValueError(f"found '{key}', expected: identifier")
        problem = qualified_name(key)
        if problem:
            raise ValueError(f'key: Invalid value: "{key}": {problem}')
        if negated:
            return Requirement(key, "!")
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        operator = self._next()
        if operator in ("in", "notin"):
            return self._checked(key, operator, self._values())
        if operator in ("=", "==", "!="):
            return self._checked(key, "notin" if operator == "!=" else "in", [self._value()])
        if operator in (">", "<", "gt", "lt"):
            return self._bound(key, "gt" if operator in (">", "gt") else "lt")
        raise ValueError(f"found '{operator}', expected: {', '.join(_OPERATORS)}")

    def _bound(self, key: str, operator: str) -> Requirement:
        value = self._value()
        if _integer(value) is None:
            raise ValueError(
                f"values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return Requirement(key, operator, frozenset((value,)))

    def _value(self) -> str:
        """The value after ``=``; none at all is the empty value."""
        return "" if self._peek() in ("", ",") else self._word()

    def _word(self) -> str:
        symbol = self._next()
        if not _is_word(symbol):
            raise ValueError(f"found '{symbol}', expected: identifier")
        return symbol

    def _values(self) -> list[str]:
        opening = self._next()
        if opening != "(":
            raise ValueError(f"found '{opening}' expected: '('")
        values: list[str] = []
        expecting = True
        while True:
            symbol = self._next()
            if symbol == ")":
                if expecting:
                    values.append("")
                return values
            if symbol == "," and expecting:
                values.append("")
            elif symbol == ",":
                expecting = True
            elif _is_word(symbol) and expecting:
                values.append(symbol)
                expecting = False
            else:
                raise ValueError(f"found '{symbol}', expected: ',', ')' or identifier")

    def _checked(self, key: str, operator: str, values: list[str]) -> Requirement:
        for index, value in enumerate(values):
            problem = label_value(value)
            if problem:
                raise ValueError(f'values[{index}][{key}]: Invalid value: "{value}": {problem}')
        return Requirement(key, operator, frozenset(values))

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        symbol = self._peek()
        self._at += 1
        return symbol


def _tokens(text: str) -> Iterator[str]:
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:  # unreachable: any character is part of a word or a symbol
            raise ValueError(f"cannot read '{text[position:]}'")
        yield match.group("symbol") or match.group("word")
        position = match.end()


def _is_word(symbol: str) -> bool:
    return bool(symbol) and symbol[0] not in "!=<>,()"


def _starts(symbol: str) -> bool:
    return symbol == "!" or _is_word(symbol)


def _split(text: str) -> list[str]:
    """Terms between commas that are not escaped by a backslash; escapes stay."""
    terms, start, index = [], 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 2
            continue
        if text[index] == ",":
            terms.append(text[start:index])
            start = index + 1
        index += 1
    terms.append(text[start:])
    return terms


def _field_term(term: str, text: str) -> tuple[str, str, str]:
    index = 0
    while index < len(term):
        if term[index] == "\\":
            index += 2
            continue
        for operator in ("!=", "==", "="):
            if term.startswith(operator, index):
                return term[:index], operator, _unescaped(term[index + len(operator) :], text)
        index += 1
    raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")


def _unescaped(value: str, text: str) -> str:
    """A value without its escapes (``\\\\``, ``\\,``, ``\\=``)."""
    result: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", ",", "="):
                raise bad_request(f"invalid field selector '{text}': invalid escape sequence: \\{escaped}")
            result.append(escaped)
        elif character in ",=":
            raise bad_request(f"invalid field selector '{text}': unescaped character in value: {character}")
        else:
            result.append(character)
    return "".join(result)
