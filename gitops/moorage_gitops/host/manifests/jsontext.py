"""The JSON loader: strict JSON, one or more objects in a file, with the line of every field and no duplicate keys."""

from __future__ import annotations

import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed leaves out json's own string scanner
from typing import Any

from moorage_gitops.host.manifests import scalars
from moorage_gitops.host.manifests.limits import Budget, ManifestError, ManifestLimits, Parsed
from moorage_gitops.host.manifests.places import Places

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?P<fraction>\.\d+)?(?P<exponent>[eE][-+]?\d+)?", re.ASCII)
_WORDS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}


def load(data: bytes, limits: ManifestLimits) -> list[Parsed]:
    """The values of a JSON file (UTF-8, no byte order mark), one after the other. Raises ManifestError."""
    reader = _Reader(data.decode(), Budget(limits))
    documents: list[Parsed] = []
    while not reader.at_end():
        documents.append(reader.document())
    return documents


class _Reader:
    """A recursive descent over the text; its depth is bounded by the limits."""

    def __init__(self, text: str, budget: Budget) -> None:
        self._text = text
        self._budget = budget
        self._at = 0
        self._line = 1
        self._counted = 0
        self._places = Places(first=0)

    def at_end(self) -> bool:
        """Whether nothing but white space is left."""
        self._skip()
        return self._at >= len(self._text)

    def document(self) -> Parsed:
        """The next value."""
        self._places = Places(first=self._here())
        value = self._value(1)
        return Parsed(value, self._places)

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _fail(self, what: str) -> ManifestError:
        return ManifestError(f"not valid JSON: {what}", self._here())

    def _peek(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> None:
        if self._peek() != wanted:
            raise self._fail(f"expected {wanted!r}")
        self._at += 1

    def _value(self, depth: int) -> Any:
        start = self._peek()
        self._budget.spend(1, 0, self._line)
        if start == "{":
            self._budget.check_depth(depth, self._here())
            return self._object(depth)
        if start == "[":
            self._budget.check_depth(depth, self._here())
            return self._array(depth)
        if start == '"':
            return self._string()
        if start in _WORDS and start:
            word, value = _WORDS[start]
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        return self._number()

    def _number(self) -> int | float:
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            raise self._fail("expected a value" if self._at < len(self._text) else "the file ends too early")
        text = match[0]
        if len(text) > 400:
            raise self._fail("a number with more than 400 digits")
        self._at = match.end()
        number = float(text) if match["fraction"] or match["exponent"] else int(text)
        try:
            value = scalars.as_json(number)
        except scalars.WrongScalar:
            raise self._fail("the number is too large") from None
        assert isinstance(value, (int, float))
        return value

    def _string(self) -> str:
        try:
            scanned: tuple[str, int] = scanstring(self._text, self._at + 1, True)
        except JSONDecodeError as error:
            self._at = error.pos
            raise self._fail(error.msg) from None
        text, self._at = scanned
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ManifestError("the character U+0000 and lone surrogates cannot be stored", self._here())
        self._budget.spend(0, len(text), self._line)
        return text

    def _object(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str | int, int] = {}
        self._at += 1
        while self._peek() != "}":
            if result:
                self._take(",")
            if self._peek() != '"':
                raise self._fail('expected a key in double quotes or "}"')
            line = self._here()
            key = self._string()
            if key in result:
                raise ManifestError(f'duplicate key "{key}" (first on line {lines[key]}); keep one', line)
            self._take(":")
            result[key] = self._value(depth + 1)
            lines[key] = line
        self._at += 1
        self._places.add(result, lines)
        return result

    def _array(self, depth: int) -> list[Any]:
        result: list[Any] = []
        lines: dict[str | int, int] = {}
        self._at += 1
        while self._peek() != "]":
            if result:
                self._take(",")
            self._skip()
            lines[len(result)] = self._here()
            result.append(self._value(depth + 1))
        self._at += 1
        self._places.add(result, lines)
        return result
