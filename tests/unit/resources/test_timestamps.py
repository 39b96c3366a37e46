"""Times and ages."""

import pytest

from moorage.resources import timestamps
from moorage.resources.timestamps import TimeError

LAYOUT = "2006-01-02T15:04:05Z07:00"


@pytest.mark.parametrize(
    ("text", "seconds", "micros"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000000Z"),
        ("2024-01-02T03:04:05.123456789+02:00", "2024-01-02T01:04:05Z", "2024-01-02T01:04:05.123456Z"),
        ("2024-02-29T23:59:59-01:30", "2024-03-01T01:29:59Z", "2024-03-01T01:29:59.000000Z"),
    ],
)
def test_written_in_utc(text: str, seconds: str, micros: str) -> None:
    assert timestamps.canonical(text) == seconds
    assert timestamps.canonical_micro(text) == micros


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("yesterday", f'parsing time "yesterday" as "{LAYOUT}": cannot parse "yesterday" as "2006"'),
        ("2024", f'parsing time "2024" as "{LAYOUT}": cannot parse "" as "-"'),
        (
            "2024-02-20 00:00:00Z",
            f'parsing time "2024-02-20 00:00:00Z" as "{LAYOUT}": cannot parse " 00:00:00Z" as "T"',
        ),
        ("2024-02-20T00:00:00", f'parsing time "2024-02-20T00:00:00" as "{LAYOUT}": cannot parse "" as "Z07:00"'),
        ("2024-02-20T00:00:00Zx", 'parsing time "2024-02-20T00:00:00Zx": extra text: "x"'),
        ("2024-13-01T00:00:00Z", 'parsing time "2024-13-01T00:00:00Z": month out of range'),
        ("2023-02-29T00:00:00Z", 'parsing time "2023-02-29T00:00:00Z": day out of range'),
        ("2023-02-20T24:00:00Z", 'parsing time "2023-02-20T24:00:00Z": hour out of range'),
        ("9999-12-31T23:59:59-23:00", 'parsing time "9999-12-31T23:59:59-23:00": year out of range'),
    ],
)
def test_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(TimeError) as caught:
        timestamps.parse(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (11400, "3h10m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (52 * 3600, "2d4h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (750 * 86400, "2y20d"),
        (3000 * 86400, "8y"),
    ],
)
def test_ages_as_kubectl_prints_them(seconds: int, printed: str) -> None:
    assert timestamps.human_duration(seconds) == printed


def test_age_needs_a_time() -> None:
    assert timestamps.age(None, 0) == "<unknown>"
    assert timestamps.age("1970-01-01T00:00:10Z", 70) == "60s"


def test_seconds() -> None:
    assert timestamps.seconds("2026-01-01T00:00:00Z") == 1_767_225_600
