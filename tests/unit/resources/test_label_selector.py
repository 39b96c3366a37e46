"""LabelSelectors: matching, printing, rules."""

from typing import Any

import pytest

from moorage.resources import label_selector as selectors

LONG = "a" * 64
LABELS = {"app": "web", "tier": "front"}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "result"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "db"}}, False),
        ({"matchLabels": {"missing": ""}}, False),
        (expression("tier", "In", "front", "back"), True),
        (expression("tier", "In", "back"), False),
        (expression("missing", "In", "x"), False),
        (expression("tier", "NotIn", "back"), True),
        (expression("tier", "NotIn", "front"), False),
        (expression("missing", "NotIn", "x"), True),
        (expression("app", "Exists"), True),
        (expression("missing", "Exists"), False),
        (expression("missing", "DoesNotExist"), True),
        (expression("app", "DoesNotExist"), False),
        (expression("app", "Maybe"), False),
        ({"matchLabels": {"app": "web"}, **expression("tier", "In", "back")}, False),
    ],
)
def test_matching(selector: dict[str, Any] | None, result: bool) -> None:
    assert selectors.matches(selector, LABELS) is result


def test_nothing_matches_no_labels_but_the_empty_selector() -> None:
    assert selectors.matches({}, None)
    assert not selectors.matches({"matchLabels": {"a": "b"}}, None)


def test_printing() -> None:
    whole = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["y", "x"]},
            {"key": "d", "operator": "NotIn", "values": ["z"]},
            {"key": "e", "operator": "Exists"},
            {"key": "f", "operator": "DoesNotExist"},
        ],
    }
    assert selectors.formatted(whole) == "a=1,b=2,c in (x,y),d notin (z),e,!f"
    assert selectors.formatted(None) == selectors.formatted({}) == "<none>"
    assert selectors.selector_text({}) == ""


@pytest.mark.parametrize(
    ("selector", "problem"),
    [
        (
            expression("a", "In"),
            "s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            expression("a", "Exists", "x"),
            "s.matchExpressions[0].values: Forbidden: "
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        (
            expression("a", "Like", "x"),
            's.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator',
        ),
        (
            expression("a", "In", LONG),
            f's.matchExpressions[0].values[0]: Invalid value: "{LONG}": must be no more than 63 bytes',
        ),
        (expression("a/", "Exists"), 's.matchExpressions[0].key: Invalid value: "a/": name part must be non-empty'),
        ({"matchLabels": {"a/": "b"}}, 's.matchLabels: Invalid value: "a/": name part must be non-empty'),
        ({"matchLabels": {"a": LONG}}, f's.matchLabels: Invalid value: "{LONG}": must be no more than 63 bytes'),
    ],
)
def test_rules(selector: dict[str, Any], problem: str) -> None:
    assert [str(error) for error in selectors.selector_errors("s", selector)] == [problem]


def test_sound_selectors_pass() -> None:
    assert not selectors.selector_errors("s", None)
    assert not selectors.selector_errors("s", {"matchLabels": {"a": "b"}, **expression("c", "NotIn", "d")})
