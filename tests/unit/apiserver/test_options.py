"""Query parameters are read and refused as Kubernetes does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from moorage.api.errors import ApiError
from moorage.api.options import DeleteOptions, delete_options, list_options, parse_query, write_options


def refusal(call: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


def test_a_repeated_parameter_counts_once() -> None:
    assert parse_query(b"a=1&a=2&b=") == {"a": "1", "b": ""}


@pytest.mark.parametrize("raw", [b"a=%ff", b"&".join(b"a%d=1" % number for number in range(200))])
def test_a_query_that_cannot_be_read_is_400(raw: bytes) -> None:
    assert refusal(lambda: parse_query(raw)).code == 400


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("limit=x", 400, 'query parameter "limit": Invalid value: "x": must be an integer'),
        ("limit=-1", 400, "limit must not be negative: -1"),
        ("resourceVersion=abc", 422, 'resourceVersion: Invalid value: "abc"'),
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, 'resourceVersionMatch "exact" is forbidden for'),
        ("resourceVersion=1&resourceVersionMatch=Never", 422, 'Unsupported value: "Never"'),
        ("resourceVersion=5&continue=abc", 400, "specifying resource version is not allowed when using continue"),
        ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
        ("allowWatchBookmarks=maybe", 400, "must be true or false"),
    ],
)
def test_list_options_that_make_no_sense(query: str, code: int, text: str) -> None:
    error = refusal(lambda: list_options(parse_query(query.encode()), watch=False))
    assert error.code == code
    assert text in error.message


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("resourceVersion=1&resourceVersionMatch=Exact", "forbidden for watch unless sendInitialEvents is provided"),
        ("sendInitialEvents=true", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    ],
)
def test_watch_options_that_make_no_sense(query: str, text: str) -> None:
    error = refusal(lambda: list_options(parse_query(query.encode()), watch=True))
    assert error.code == 422
    assert text in error.message


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("dryRun=Some", 'dryRun: Unsupported value: "Some": supported values: "All"'),
        ("fieldValidation=Loose", 'fieldValidation: Unsupported value: "Loose"'),
        ("fieldManager=" + "m" * 129, "fieldManager: Too long: may not be more than 128 bytes"),
        ("fieldManager=a%07b", "invalid character '\\x07' (at position 1)"),
    ],
)
def test_write_options_that_make_no_sense(query: str, text: str) -> None:
    error = refusal(lambda: write_options(parse_query(query.encode()), "CreateOptions"))
    assert error.code == 422
    assert error.message.startswith('CreateOptions.meta.k8s.io "" is invalid: ')
    assert text in error.message


def test_write_options() -> None:
    options = write_options(
        parse_query(b"dryRun=All&fieldManager=me&fieldValidation=Strict&force=true"), "PatchOptions"
    )
    assert (options.dry_run, options.manager, options.strictness, options.force) == (True, "me", "Strict", True)


def test_delete_options_come_from_the_query_or_the_body() -> None:
    query = parse_query(b"gracePeriodSeconds=5&propagationPolicy=Foreground&dryRun=All")
    assert delete_options(query, None) == DeleteOptions(True, 5, "Foreground")
    body = {"gracePeriodSeconds": 0, "preconditions": {"uid": "u", "resourceVersion": "7"}, "dryRun": ["All"]}
    assert delete_options(query, body) == DeleteOptions(True, 0, "", "u", "7")


def test_orphan_dependents_is_the_old_word_for_a_policy() -> None:
    assert delete_options({}, {"orphanDependents": True}).policy == "Orphan"
    assert delete_options({}, {"orphanDependents": False}).policy == "Background"
    both = {"orphanDependents": True, "propagationPolicy": "Background"}
    assert "cannot be both set" in refusal(lambda: delete_options({}, both)).message


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"gracePeriodSeconds": "soon"}, "gracePeriodSeconds: Invalid value: must be an integer"),
        ({"propagationPolicy": "Sideways"}, 'Unsupported value: "Sideways"'),
        ({"preconditions": {"uid": 5}}, "preconditions.uid"),
        ({"preconditions": {"name": "x"}}, "preconditions.name"),
        ({"kind": "Pod"}, 'must be DeleteOptions, not "Pod"'),
        ({"dryRun": [1]}, "dryRun"),
    ],
)
def test_delete_options_that_make_no_sense(body: dict[str, object], text: str) -> None:
    assert text in refusal(lambda: delete_options({}, body)).message
