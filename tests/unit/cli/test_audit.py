"""How ``moorage audit`` asks for rows and shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from moorage.cli.audit import rows as shown


def row(seq: int, second: int = 0, **more: Any) -> dict[str, Any]:
    moment = f"2026-01-31T12:00:{second:02}.000000Z"
    return {"chain": "commits", "seq": seq, "time": moment, "verb": "create", "allowed": True, "detail": {}, **more}


class Server:
    """Answers with what its log holds, newest first, in pages."""

    def __init__(self, *log: Mapping[str, Any]) -> None:
        self.log = list(log)
        self.asked: list[dict[str, list[str]]] = []

    def __call__(self, path: str) -> Mapping[str, Any]:
        asked = parse_qs(urlsplit(path).query)
        self.asked.append(asked)
        since = shown.seconds(asked["since"][0]) if "since" in asked else 0.0
        fitting = [each for each in self.log if shown.seconds(each["time"]) >= since]
        fitting.sort(key=lambda each: (each["time"], each["seq"]), reverse=True)
        start, size = int(asked.get("continue", ["0"])[0]), int(asked["limit"][0])
        more = {"continue": str(start + size)} if start + size < len(fitting) else {}
        return {"items": fitting[start : start + size], "metadata": more}


def numbers(found: Sequence[Mapping[str, Any]]) -> list[int]:
    return [each["seq"] for each in found]


def test_pages_are_read_until_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "PAGE", 2)
    server = Server(*(row(number, number) for number in range(1, 8)))
    assert numbers(shown.rows(server, [("user", "ann")], 3)) == [7, 6, 5]
    assert [each["limit"] for each in server.asked] == [["2"], ["1"]]
    assert all(each["user"] == ["ann"] for each in server.asked)
    assert numbers(shown.rows(server, [], 0)) == [7, 6, 5, 4, 3, 2, 1]
    assert numbers(shown.rows(server, [], 50)) == [7, 6, 5, 4, 3, 2, 1]


def test_following_shows_each_row_once_however_late_it_comes() -> None:
    server = Server(row(1, 10), row(2, 20))
    come = iter([[row(3, 30)], [], [row(4, 26), row(5, 31)], [row(6, 31), row(7, 14)]])

    def wait(_seconds: float) -> None:
        server.log += next(come)

    following = shown.followed(server, [("since", "2026-01-31T12:00:15.000Z"), ("verb", "create")], 50, wait)
    assert numbers([next(following) for _ in range(5)]) == [2, 3, 4, 5, 6]
    # What was asked for from the beginning holds on; the time goes with the rows.
    assert all(each["verb"] == ["create"] for each in server.asked)
    assert server.asked[-1]["since"] == ["2026-01-31T12:00:21.000Z"]


def test_a_row_is_a_line_of_the_table_of_json_or_a_yaml_document() -> None:
    read = row(
        9,
        user="alice",
        group="apps",
        resource="deployments",
        subresource="scale",
        namespace="blue",
        name="web",
        allowed=False,
        code=403,
        sourceCommit="c0ffee" * 6,
        detail={"sourceIP": "192.0.2.1", "impersonator": "root"},
    )
    assert shown.cells(read) == (
        "2026-01-31T12:00:00Z",
        "alice",
        "create (by root)",
        "deployments.apps/web (scale)",
        "blue",
        "no (403)",
        "c0ffeec0ff",
        "192.0.2.1",
    )
    assert shown.one(read, "table").split()[:2] == ["2026-01-31T12:00:00Z", "alice"]
    assert '"seq": 9' in shown.one(read, "json")
    assert "\n" not in shown.one(read, "json")
    assert shown.one(read, "yaml").startswith("---\nchain: commits\n")


def test_a_row_about_no_object_shows_its_path() -> None:
    assert shown.cells(row(1, detail={"path": "/metrics"}))[3] == "/metrics"
    assert shown.cells(row(1))[1:8] == ("-", "create", "-", "-", "yes", "-", "-")
