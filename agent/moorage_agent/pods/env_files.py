"""Variables that containers of a pod have left in a file for those that start after them (KEP-3721). Pure.

The form is a small part of the shell's: ``NAME='value'``, where a value may span lines and holds no quote; blank lines and
comments are nothing. Messages name lines, never what stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_EMPTY = re.compile(r"[ \t]*([^\s=#]+)=[ \t]+[^\n]*(?:\n|\Z)")
_GIVEN = re.compile(r"[ \t]*([^\s=#]+)='([^']*)'[ \t]*(?:#[^\n]*)?(?:\n|\Z)")


class FileError(Exception):
    """The file is not of the form."""


@dataclass(frozen=True, slots=True)
class Assignments:
    """What a file says: the first value of each name, and what is wrong with the first line that says nothing."""

    values: Mapping[str, str]
    fault: str = ""

    def value_of(self, name: str) -> str:
        """What the first assignment to ``name`` says, "" without one. Raises FileError for what is wrong before it."""
        if name not in self.values and self.fault:
            raise FileError(self.fault)
        return self.values.get(name, "")


def parsed(text: str) -> Assignments:
    """A whole file, read once for all variables: a pod may have thousands, and its file a million lines. For a thread."""
    at, values = 0, dict[str, str]()
    while at < len(text):
        if (nothing := _NOTHING.match(text, at)) is not None:
            at = nothing.end()
            continue
        found = _GIVEN.match(text, at) or _EMPTY.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            return Assignments(values, f"invalid environment variable format at line {line}: {_fault(text[at:])}")
        values.setdefault(found[1], found[2] if found.re is _GIVEN else "")
        at = found.end()
    return Assignments(values)


def _fault(rest: str) -> str:
    """What is wrong with the assignment that ``rest`` begins with."""
    name, equals, value = rest.partition("=")
    if not equals or "\n" in name:
        return "missing '='"
    if not name.strip():
        return "empty variable name"
    if name.lstrip() != name.strip() or len(name.split()) > 1:
        return "whitespace before '=' is not allowed"
    if not value.startswith("'"):
        return "value must be enclosed in single quotes"
    return "unexpected content after closing quote" if "'" in value[1:] else "unclosed single quote"
