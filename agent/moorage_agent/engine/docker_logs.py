"""Containers' logs from Docker's own files, for the time when the engine does not answer.

Source: Docker's logging driver ``json-file``: ``ROOT/containers/ID/ID-json.log`` and, older, the same with ``.1``, ``.2`` ...; a
line is ``{"log": TEXT, "stream": NAME, "time": RFC 3339}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from moorage_agent.engine.contract import LogOptions
from moorage_agent.timestamps import seconds


def files(root: Path, container: str) -> list[Path]:
    """A container's log files, the oldest first; none where they cannot be read here. Blocking."""
    newest = root / "containers" / container / f"{container}-json.log"
    if not newest.is_file():
        return []
    older = [each for each in newest.parent.glob(f"{newest.name}.*") if each.suffix[1:].isdigit()]
    return [*sorted(older, key=lambda each: -int(each.suffix[1:])), newest]


def read(paths: list[Path], options: LogOptions) -> bytes:
    """What ``options`` wants of them, as far as it is written; it is not followed. Blocking. Raises OSError."""
    if options.tail is None:
        return b"".join(line for path in paths for line in _lines(path, options))
    found: list[bytes] = []
    for path in reversed(paths):
        if len(found) >= options.tail:
            break
        found = [*_lines(path, options), *found]
    return b"".join(found[len(found) - min(options.tail, len(found)) :])


def _lines(path: Path, options: LogOptions) -> Iterator[bytes]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                entry = orjson.loads(line)
                time, text = str(entry["time"]), str(entry["log"])
            except (ValueError, KeyError, TypeError):
                continue  # the last line may be half written
            if options.since and seconds(time) < options.since:
                continue
            stamp = f"{_padded(time)} " if options.timestamps else ""
            yield (stamp + text).encode()


def _padded(time: str) -> str:
    """With nine digits of a second, as the engine tells it."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"
