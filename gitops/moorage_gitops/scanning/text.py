"""All detectors over one file."""

from __future__ import annotations

from collections.abc import Collection

from moorage_gitops.scanning import entropy, manifests, patterns
from moorage_gitops.scanning.findings import HIGH_ENTROPY, PLAIN_SECRET, RULES, Finding, fingerprint

LONGEST = 4 * 1024 * 1024
"""Bytes of a file that is looked through."""
IGNORE = "moorage:allow-secret"
"""A line with this mark is passed over."""
_BINARY = 8000
_LOCK_FILES = ("package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "Cargo.lock", "go.sum")


def scan(
    path: str, content: bytes, rules: Collection[str] = RULES, passed: list[Finding] | None = None
) -> list[Finding]:
    """What lies in the clear in a file, by line; ``passed`` takes what lines with the mark hold. Binary files and those
    longer than ``LONGEST`` hold nothing that is found.
    """
    if len(content) > LONGEST or b"\0" in content[:_BINARY]:
        return []
    text = content.decode("utf-8", "replace")
    lines = text.split("\n")
    found: list[Finding] = []
    taken: set[int] = set()

    def add(line: int, rule: str, message: str, value: str) -> None:
        if rule not in rules or line in taken:
            return
        taken.add(line)
        finding = Finding(path, line, rule, message, fingerprint(rule, path, value))
        if IGNORE not in lines[min(line, len(lines)) - 1]:
            found.append(finding)
        elif passed is not None:
            passed.append(finding)

    for secret in manifests.plain_secrets(content) if path.lower().endswith(manifests.SUFFIXES) else ():
        name = f'Secret "{secret.name}"' if secret.name else "a Secret"
        add(secret.line, PLAIN_SECRET, f"{name} in the clear ({', '.join(secret.keys[:5])})", "\0".join(secret.values))
    for offset, pattern, value in patterns.matches(text):
        add(_line(text, offset), pattern.rule, pattern.what, value)
    if not path.endswith(_LOCK_FILES):
        sealed = manifests.sealed_values(content) if path.lower().endswith(manifests.SUFFIXES) else []
        for offset, name, value in entropy.matches(path, text):
            if any(each.startswith(value) for each in sealed):
                continue
            add(_line(text, offset), HIGH_ENTROPY, f"a random-looking value of {name[:60]}", value)
    return sorted(found, key=lambda finding: (finding.line, finding.rule))


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
