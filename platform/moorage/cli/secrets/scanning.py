"""``scan``: finds secrets in the clear in a Git repository, in its files and in its history."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.options import fail
from moorage.cli.output import structured, table
from moorage.cli.secrets.way import Output

if TYPE_CHECKING:
    from moorage_gitops.scanning.findings import Finding

FOUND = 1
_SAFE = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.quotePath=false")
"""A repository that is looked through may not run anything."""
_NAMED_COMMITS = 50


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        epilog="Examples: moorage secrets scan | moorage secrets scan ~/shop --no-history -o json. "
        'A line with the comment "moorage:allow-secret" is passed over, in the history too. Exit code 1: something was found.'
    )(scan)


@dataclass(frozen=True, slots=True)
class _Found:
    """A finding, and the commit that brought it ("" for what is in the files now)."""

    finding: Finding
    commit: str


def scan(
    path: Annotated[Path, typer.Argument(help="A Git repository, or a folder in one.")] = Path(),
    history: Annotated[bool, typer.Option("--history/--no-history", help="Look through all commits too.")] = True,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Only these rules; may be repeated.")] = None,
    output: Output = "table",
) -> None:
    """Find secrets in the clear: Secret manifests, private keys, tokens, passwords in URLs, random values of telling names.

    Values are never shown. Needs no platform.
    """
    from moorage_gitops.scanning.findings import RULES

    rules = tuple(rule or RULES)
    if unknown := [each for each in rules if each not in RULES]:
        fail(f"--rule {unknown[0]}: there are {', '.join(RULES)}", 2)
    root = _git(path, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n")
    passed: list[Finding] = []
    found = [_Found(finding, "") for finding in _in_files(path, rules, passed)]
    if history:
        # What is marked now was looked at: its earlier lines had no mark yet.
        known = {(each.path, each.fingerprint) for each in (*passed, *(one.finding for one in found))}
        found += _in_history(path, rules, known)
    _show(found, output, root)
    if found:
        raise typer.Exit(FOUND)


def _in_files(path: Path, rules: Sequence[str], passed: list[Finding]) -> Iterator[Finding]:
    """Tracked files and those that could be added; what Git ignores cannot be pushed. ``passed`` takes what is marked."""
    from moorage_gitops.scanning.text import LONGEST
    from moorage_gitops.scanning.text import scan as look

    listed = _git(path, "ls-files", "-z", "--full-name", "--cached", "--others", "--exclude-standard")
    top = Path(_git(path, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n"))
    for raw in sorted(set(listed.split(b"\0")) - {b""}):
        name = raw.decode(errors="surrogateescape")
        file = top / name
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LONGEST:
            continue
        yield from look(name, file.read_bytes(), rules, passed)


def _in_history(path: Path, rules: Sequence[str], known: set[tuple[str, str]]) -> list[_Found]:
    """What commits hold and the files do not any more."""
    from moorage_gitops.scanning.text import LONGEST
    from moorage_gitops.scanning.text import scan as look

    listed = _git(path, "rev-list", "--objects", "--all", f"--filter=combine:object:type=blob+blob:limit={LONGEST}")
    blobs: dict[str, str] = {}
    for line in listed.decode(errors="surrogateescape").splitlines():
        oid, _, name = line.partition(" ")
        if name:
            blobs.setdefault(oid, name)
    found: list[_Found] = []
    commits: dict[str, str] = {}
    for oid, content in _contents(path, list(blobs)):
        for finding in look(blobs[oid], content, rules):
            if (finding.path, finding.fingerprint) in known:
                continue
            known.add((finding.path, finding.fingerprint))
            if oid not in commits and len(commits) < _NAMED_COMMITS:
                commits[oid] = _commit_of(path, oid)
            found.append(_Found(finding, commits.get(oid) or "history"))
    return found


def _contents(path: Path, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Blobs one by one, by one Git process that is asked for the next when the last was read."""
    with subprocess.Popen(
        ["git", *_SAFE, "-C", str(path), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for oid in oids:
            process.stdin.write(f"{oid}\n".encode())
            process.stdin.flush()
            size = int(process.stdout.readline().split()[2])
            content = process.stdout.read(size)
            process.stdout.read(1)
            yield oid, content
        process.stdin.close()


def _commit_of(path: Path, oid: str) -> str:
    """The commit that brought a blob."""
    lines = _git(path, "log", "--all", "--reverse", "--format=%h", f"--find-object={oid}").decode().split()
    return lines[0] if lines else ""


def _git(path: Path, *arguments: str) -> bytes:
    """The output of a Git command. Fails with Git's own words."""
    try:
        done = subprocess.run(
            ["git", *_SAFE, "-C", str(path), *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        fail(f"git cannot be started: {error.strerror or error}", 2)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        fail(f"{path}: {lines[0] if lines else 'git failed'}", 2)
    return done.stdout


def _show(found: Sequence[_Found], output: str, root: str) -> None:
    if output != "table":
        structured(
            [
                {
                    "file": _printable(each.finding.path),
                    "line": each.finding.line,
                    "rule": each.finding.rule,
                    "message": each.finding.message,
                    "commit": each.commit,
                    "fingerprint": each.finding.fingerprint,
                }
                for each in found
            ],
            output,
        )
        return
    if not found:
        print(f"no secrets in the clear in {root}")
        return
    rows = [
        (
            f"{_printable(each.finding.path)}:{each.finding.line}",
            each.finding.rule,
            each.commit or "now",
            each.finding.message,
        )
        for each in found
    ]
    table(("PLACE", "RULE", "COMMIT", "WHAT"), rows)
    earlier = sum(bool(each.commit) for each in found)
    print(f"\n{len(found)} found, {earlier} of them in the history only.")
    if any(each.finding.rule == "plain-secret" and not each.commit for each in found):
        print("Seal Secrets with: moorage secrets seal --manifest FILE --in-place -n NAMESPACE")
    print("Whatever was pushed or copied is known: give such values another time.")


def _printable(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
