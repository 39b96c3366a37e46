"""Variables that containers of a pod have left in a file for those that start after them (KEP-3721). Pure.

The form is a small part of the shell's: ``NAME='value'``, where a value may span lines and holds no quote; blank lines and
comments are nothing. Messages name lines, never what stands in them.
"""

from __future__ import annotations

import re

_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_EMPTY = re.compile(r"[ \t]*([^\s=#]+)=[ \t]+[^\n]*(?:\n|\Z)")
_GIVEN = re.compile(r"[ \t]*([^\s=#]+)='([^']*)'[ \t]*(?:#[^\n]*)?(?:\n|\Z)")


class FileError(Exception):
    """The file is not of the form."""


def value_of(text: str, name: str) -> str:
    """What the first assignment to ``name`` says, "" without one. Raises FileError for what is wrong before it."""
    at = 0
    while at < len(text):
        if (nothing := _NOTHING.match(text, at)) is not None:
            at = nothing.end()
            continue
        found = _GIVEN.match(text, at) or _EMPTY.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            raise FileError(f"invalid environment variable format at line {line}: {_fault(text[at:])}")
        if found[1] == name:
            return found[2] if found.re is _GIVEN else ""
        at = found.end()
    return ""


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
