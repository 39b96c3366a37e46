"""Random-looking values beside names that speak of secrets: ``DB_PASSWORD=...``, ``"apiKey": "..."``."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

_ASSIGNMENT = re.compile(
    r"(?P<name>[A-Za-z0-9_.-]{0,64}(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"credentials?|auth[_-]?key)[A-Za-z0-9_.-]{0,32})"
    r"[\"']?\s*(?::=|=>|[:=])\s*(?P<quote>[\"'`]?)(?P<value>[^\s\"'`,;]{8,512})(?P=quote)",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"[(){}<>\[\]$]|::|\.\.\.|^(?:https?|file|env|secret|vault|op)://|^[./~]|^[a-z]+(?:[._/:+-][a-z]+)*$", re.IGNORECASE
)
_WORDY = re.compile(r"example|sample|placeholder|change[-_]?me|dummy|redacted|xxxx|\*\*\*\*|your[-_]", re.IGNORECASE)
_HASH_NAMES = re.compile(
    r"sha\d|digest|checksum|hash|public|fingerprint|version|name$|file$|path$|url$|type$|id$", re.IGNORECASE
)
_PROGRAMS = (
    ".py",
    ".go",
    ".js",
    ".ts",
    ".tsx",
    ".jsx",
    ".java",
    ".kt",
    ".rb",
    ".rs",
    ".c",
    ".h",
    ".cpp",
    ".cs",
    ".php",
    ".swift",
)
LEAST_BITS = 3.2
"""Shannon entropy of a character from which on a value looks random; English words have about 2.5 to 3."""
_LEAST_CLASSES = 2


def matches(path: str, text: str) -> Iterator[tuple[int, str, str]]:
    """(offset, name, value) of every assignment whose value looks random. In programs, what has no quotes is a name."""
    is_program = path.lower().endswith(_PROGRAMS)
    for match in _ASSIGNMENT.finditer(text):
        name, value = match["name"], match["value"]
        if is_program and not match["quote"]:
            continue
        if _HASH_NAMES.search(name) or _CODE.search(value) or _WORDY.search(value):
            continue
        if looks_random(value):
            yield match.start("value"), name, value


def looks_random(value: str) -> bool:
    """Whether a value is long and mixed enough to be no word."""
    classes = sum(
        any(test(character) for character in value)
        for test in (str.isupper, str.islower, str.isdigit, lambda character: not character.isalnum())
    )
    return classes >= _LEAST_CLASSES and bits(value) >= LEAST_BITS


def bits(value: str) -> float:
    """Shannon entropy of a character, in bits."""
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values())
