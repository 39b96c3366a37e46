"""YAML scalars, merges and bombs, next to what go-yaml v2 makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.yamldoc import YamlError, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"),
        ("2001-01-01", "2001-01-01"),
        ("2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("N", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("0777", 511),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b101", 5),
        ("-0x1F", -31),
        ("1_000", 1000),
        ("+5", 5),
        ("08", 8.0),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("1Gi", "1Gi"),
        ("-", [None]),
        ("'yes'", "yes"),
        ('"1"', "1"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ("!!float 1", 1.0),
        ("=", "="),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 1.8446744073709552e19),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    got = load_yaml(text)
    assert got == value
    assert type(got) is type(value)


def test_keys_are_strings() -> None:
    text = "1: a\ntrue: b\n1.5: c\n~: d\nn: e\n"
    assert load_yaml(text) == {"1": "a", "true": "b", "1.5": "c", "null": "d", "false": "e"}


def test_keys_that_mean_the_same_are_the_same() -> None:
    with pytest.raises(YamlError, match='line 2: key "true" already set in map'):
        load_yaml("yes: a\ny: b\n")


def test_merge_keys() -> None:
    text = "base: &b {x: 1, z: 2}\nfirst:\n  <<: *b\n  z: 3\nmany:\n  <<: [{x: 9}, *b]\n"
    assert load_yaml(text) == {"base": {"x": 1, "z": 2}, "first": {"x": 1, "z": 3}, "many": {"x": 9, "z": 2}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", 'line 2: key "a" already set in map'),
        ("a: [1\nb: 2\n", "line "),
        ("a: *nowhere\n", "line 1: "),
        ("a: .nan\n", "unsupported value"),
        ("a: -.inf\n", "unsupported value"),
        ("a: !!binary aGk=\n", "no JSON form"),
        ("a: !!python/object:os.system x\n", "unknown tag"),
        ("a: !mine x\n", "unknown tag !mine"),
        ("? [1, 2]\n: x\n", "a key must be a scalar"),
        ("a: 1\n---\nb: 2\n", "another document"),
        ("a: {<<: 7}\n", "map merge requires map"),
        (b"a: \xff\xfe\n", "not valid UTF-8"),
        ("a: \x00\n", "not valid UTF-8 or holds control characters"),
    ],
)
def test_refusals(text: str | bytes, words: str) -> None:
    with pytest.raises(YamlError, match=words.replace("[", r"\[")):
        load_yaml(text)


def test_a_billion_laughs() -> None:
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(YamlError, match="excessive aliasing"):
        load_yaml("\n".join(levels))


@pytest.mark.parametrize("text", ["- a\n" * 300, "[" + "1," * 300 + "]", "".join(f"k{n}: v\n" for n in range(300))])
def test_too_many_values(text: str) -> None:
    with pytest.raises(YamlError, match="the document has too many values"):
        load_yaml(text, max_nodes=200)
    assert load_yaml(text, max_nodes=1000)


def test_an_alias_to_itself() -> None:
    with pytest.raises(YamlError, match="exceeded max depth"):
        load_yaml("a: &a [*a]")


@pytest.mark.parametrize("depth", [300, 3000])
def test_depth(depth: int) -> None:
    with pytest.raises(YamlError, match="exceeded max depth"):
        load_yaml("[" * depth + "]" * depth)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "!!seq [", "&a [", "? "])
def test_depth_that_would_end_the_process(opening: str) -> None:
    """libyaml's composer calls itself in C: it must be stopped before its stack is used up."""
    with pytest.raises(YamlError):
        load_yaml(opening * 100_000)


def test_tagged_values_are_counted() -> None:
    with pytest.raises(YamlError, match="too many values"):
        load_yaml("[" + "!!str a," * 200_000 + "]")
