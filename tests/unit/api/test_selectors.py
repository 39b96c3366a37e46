"""Label and field selectors, next to apimachinery's tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.errors import ApiError
from moorage.api.selectors import fields_of, parse_fields, parse_labels, supported_fields
from tests.unit.api.kinds import POD

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": "", "example.com/x": "y"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app=web",
        "app==web",
        " app = web , tier = front ",
        "app!=db",
        "missing!=x",
        "app in (web,db)",
        "app in ( web )",
        "app notin (db, cache)",
        "missing notin (a)",
        "app",
        "!missing",
        "empty=",
        "empty in ()",
        "empty in (,)",
        "n>4",
        "n<6",
        "n gt 4",
        "n lt 6",
        "example.com/x=y",
        "app=web,!missing,n>1,tier in (front,back)",
        "app notin (in, notin)",
    ],
)
def test_selected(text: str) -> None:
    assert parse_labels(text).matches(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "app=db",
        "app!=web",
        "app in (db)",
        "app notin (web)",
        "missing",
        "!app",
        "missing=",
        "n>5",
        "n<5",
        "app>1",
        "missing<9",
        "app=web,tier=back",
    ],
)
def test_not_selected(text: str) -> None:
    assert not parse_labels(text).matches(LABELS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b,", "found '', expected: identifier after ','"),
        (",a=b", "found ',', expected: !, identifier, or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a=b,,c=d", "found ',', expected: identifier after ','"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a ~ b", "unable to parse requirement: found '~', expected: in, notin, =, ==, !=, gt, lt"),
        ("a==!b", "unable to parse requirement: found '!', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("n>x", "the value must be an integer"),
        ("-a=b", 'unable to parse requirement: key: Invalid value: "-a": name part must consist of'),
        ("a=-b", 'unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label must be'),
        ("a in (ok,-b)", "values[1][a]: Invalid value"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_labels(text)
    assert caught.value.code == 400
    assert message in caught.value.message


def test_exact_labels() -> None:
    assert parse_labels("a=b,c in (d),e in (f,g),h!=i,j").exact == {"a": "b", "c": "d"}


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    codes: list[int] = []
    try:
        parse_labels(text).matches(LABELS)
    except ApiError as error:
        codes.append(error.code)
    assert codes in ([], [400])


SUPPORTED = frozenset({"metadata.name", "metadata.namespace", "status.phase", "spec.nodeName"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status.phase=Running", True),
        ("status.phase==Running", True),
        ("status.phase!=Pending", True),
        ("status.phase!=Running", False),
        ("status.phase=Running,spec.nodeName=n1", True),
        ("status.phase=Running,spec.nodeName=", False),
        ("spec.nodeName!=", True),
        ("status.phase=Running,status.phase=Pending", False),
        ("metadata.name=a\\,b\\=c\\\\d", False),
        (",", True),
    ],
)
def test_fields(text: str, expected: bool) -> None:
    fields = {"metadata.name": "a", "status.phase": "Running", "spec.nodeName": "n1"}
    assert parse_fields(text, SUPPORTED).matches(fields) is expected


def test_escapes() -> None:
    assert parse_fields("metadata.name=a\\,b\\=c\\\\d", SUPPORTED).exact == {"metadata.name": "a,b=c\\d"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spec.foo=1", "field label not supported: spec.foo"),
        ("status.phase", "invalid selector: 'status.phase'; can't understand 'status.phase'"),
        ("status.phase=a=b", "unescaped character in value: ="),
        ("status.phase=a\\x", "invalid escape sequence: \\x"),
    ],
)
def test_refused_fields(text: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_fields(text, SUPPORTED)
    assert caught.value.code == 400
    assert message in caught.value.message


def test_fields_of_a_kind() -> None:
    assert {"metadata.name", "metadata.namespace", "spec.nodeName", "status.phase"} <= supported_fields(POD)
    values = fields_of(POD, {"metadata": {"name": "a", "namespace": "b"}, "spec": {"nodeName": "n"}})
    assert (values["metadata.name"], values["metadata.namespace"], values["spec.nodeName"]) == ("a", "b", "n")
