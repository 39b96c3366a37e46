"""Asks for rows of the audit, page by page or as they come, and shows them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

PATH = "/apis/moorage.io/v1/audit"
PAGE = 500
EVERY = 1.0
"""Seconds between two looks for new rows."""
LATE = 10.0
"""Seconds by which a row may come after others that are younger: servers write what they have gathered."""
HEADER = ("TIME", "USER", "VERB", "OBJECT", "NAMESPACE", "ALLOWED", "COMMIT", "FROM")
WIDTHS = (20, 24, 12, 36, 16, 9, 10, 15)
"""Of the columns of rows that are shown one by one."""

Row = Mapping[str, Any]
Ask = Callable[[str], Mapping[str, Any]]
"""Gets a path of the API."""
Filters = Sequence[tuple[str, str]]


def rows(ask: Ask, filters: Filters, limit: int) -> list[Row]:
    """The newest rows that fit, newest first; all of them where ``limit`` is 0."""
    found: list[Row] = []
    token = ""
    while not limit or len(found) < limit:
        size = min(PAGE, limit - len(found)) if limit else PAGE
        page = [("limit", str(size)), *([("continue", token)] if token else [])]
        answer = ask(f"{PATH}?{urlencode([*filters, *page])}")
        found += answer["items"]
        token = answer["metadata"].get("continue", "")
        if not token:
            break
    return found


def followed(ask: Ask, filters: Filters, limit: int, wait: Callable[[float], None] = time.sleep) -> Iterator[Row]:
    """The newest rows that fit, oldest first, and then each one that comes. Never ends."""
    plain = [pair for pair in filters if pair[0] != "since"]
    begin = max((seconds(text) for name, text in filters if name == "since"), default=0.0)
    first = rows(ask, filters, limit)
    yield from reversed(first)
    latest = seconds(first[0]["time"]) if first else time.time()
    # What was too much to be shown at the beginning is not news.
    since = max(begin, latest - LATE)
    seen = {_key(row): seconds(row["time"]) for row in [*first, *rows(ask, [*plain, ("since", text_of(since))], 0)]}
    while True:
        wait(EVERY)
        for row in reversed(rows(ask, [*plain, ("since", text_of(since))], 0)):
            if _key(row) not in seen:
                seen[_key(row)] = moment = seconds(row["time"])
                latest = max(latest, moment)
                yield row
        since = max(begin, latest - LATE)
        seen = {key: moment for key, moment in seen.items() if moment >= since - LATE}


def _key(row: Row) -> tuple[str, int]:
    return row["chain"], row["seq"]


def cells(row: Row) -> tuple[str, ...]:
    """A row's columns."""
    return (
        row["time"][:19] + "Z",
        row.get("user", "-"),
        _verb(row),
        _object(row),
        row.get("namespace", "-"),
        "yes" if row["allowed"] else f"no ({row.get('code', '-')})",
        row.get("sourceCommit", "-")[:10],
        row.get("detail", {}).get("sourceIP", "-"),
    )


def line(texts: Sequence[str]) -> str:
    """Columns of fixed width, for rows that are shown one by one."""
    return "   ".join(text.ljust(width) for text, width in zip(texts, WIDTHS, strict=True)).rstrip()


def one(row: Row, output: str) -> str:
    """A row by itself: a line of the table, a line of JSON, or a YAML document."""
    if output == "table":
        return line(cells(row))
    if output == "json":
        return json.dumps(row)
    import yaml

    return "---\n" + str(yaml.safe_dump(dict(row), sort_keys=False)).rstrip()


def seconds(text: str) -> float:
    """Seconds since the epoch of a time as the API writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def text_of(moment: float) -> str:
    """A time as the API takes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _verb(row: Row) -> str:
    behind = row.get("detail", {}).get("impersonator", "")
    return f"{row['verb']} (by {behind})" if behind else str(row["verb"])


def _object(row: Row) -> str:
    """``deployments.apps/web``; the path where the request was about no object."""
    if "resource" not in row:
        return str(row.get("detail", {}).get("path", "-"))
    kind = f"{row['resource']}.{row['group']}" if "group" in row else row["resource"]
    named = f"{kind}/{row['name']}" if "name" in row else kind
    return f"{named} ({row['subresource']})" if "subresource" in row else str(named)
