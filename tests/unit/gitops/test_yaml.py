"""The YAML loader: positions, and what it refuses. What it yields is compared with kubectl in the integration tests."""

from __future__ import annotations

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage_gitops.host.manifests import jsontext, yaml
from moorage_gitops.host.manifests.limits import ManifestError, ManifestLimits, Parsed

LIMITS = ManifestLimits()


def load(text: str | bytes, limits: ManifestLimits = LIMITS) -> list[Parsed]:
    return yaml.load(text if isinstance(text, bytes) else text.encode(), limits)


def refused(text: str | bytes, limits: ManifestLimits = LIMITS) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        load(text, limits)
    return caught.value


def test_every_field_has_its_line() -> None:
    text = "# a comment\napiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    app.kubernetes.io/name: x\nspec:\n  containers:\n"
    text += "  - name: a\n    ports:\n    - {containerPort: 1}\n    -\n      containerPort: 2\n"
    (parsed,) = load(text)

    lines = {
        path: parsed.places.line(parsed.value, path)
        for path in (
            "",
            "kind",
            "metadata.labels[app.kubernetes.io/name]",
            "metadata.labels.app.kubernetes.io/name",
            "spec.containers[0].name",
            "spec.containers[0].ports[1].containerPort",
            "spec.containers[0].image",
            "spec.containers[7].image",
            "spec.nothing.here",
            "nothing",
        )
    }

    assert lines == {
        "": 2,
        "kind": 3,
        "metadata.labels[app.kubernetes.io/name]": 6,
        "metadata.labels.app.kubernetes.io/name": 6,
        "spec.containers[0].name": 9,
        "spec.containers[0].ports[1].containerPort": 13,
        "spec.containers[0].image": 9,
        "spec.containers[7].image": 8,
        "spec.nothing.here": 7,
        "nothing": 2,
    }


def test_documents_know_their_lines_in_the_file() -> None:
    first, second = load("a: 1\n---\n# note\nb:\n  c: 1\n")

    assert first.places.line(first.value, "a") == 1
    assert second.places.line(second.value, "b.c") == 5


def test_anchored_fields_keep_the_line_where_they_are_written() -> None:
    (parsed,) = load("base: &base\n  image: x\nuse:\n  <<: *base\n  name: z\nagain: *base\n")

    assert parsed.value["use"] == {"image": "x", "name": "z"}
    assert parsed.places.line(parsed.value, "use.image") == 2
    assert parsed.places.line(parsed.value, "again.image") == 2
    assert parsed.value["again"] is not parsed.value["base"]


def test_duplicate_keys_are_refused_with_both_lines() -> None:
    error = refused("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n")

    assert (error.line, error.message) == (5, 'duplicate key "c" (first on line 3); keep one')


def test_keys_that_become_the_same_text_are_duplicates() -> None:
    assert refused('a: {1: x, "1": y}').line == 1


def test_an_alias_bomb_is_refused_at_once() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    started = time.monotonic()

    error = refused(bomb)

    assert "too large when its aliases" in error.message
    assert error.line > 1
    assert time.monotonic() - started < 30


def test_a_bomb_of_one_long_text_is_refused() -> None:
    error = refused(f"a: &a {'x' * 100_000}\nb: [{','.join(['*a'] * 1_000)}]\n")

    assert "too large" in error.message


def test_an_alias_within_its_own_anchor_is_refused() -> None:
    assert "inside what it names" in refused("a: &a [*a]").message


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{b: " * 50_000, "- " * 20_000])
def test_depth_is_bounded_while_parsing(text: str) -> None:
    error = refused(text)

    assert "deeper than 100" in error.message


def test_a_document_of_many_nodes_is_refused() -> None:
    assert "too large" in refused("[" + "1," * 1_000 + "]", ManifestLimits(nodes=500)).message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1\nc: 2\n", 3, "not valid YAML"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: 'x\n", 2, "not valid YAML"),
        ("name: {{ .Values.name }}\n", 1, "template"),
        ("a: \x01\n", 1, "not valid YAML"),
        ('a: 1\nb: "\\0"\n', 2, "U+0000"),
        ("a: *b\n", 1, "unknown alias"),
        ("*a : 1\n", 1, "alias"),
        ("? " * 20_000, 1, "a key must be a text"),
        ("a: .inf\n", 1, "quote it"),
        ("a: 1\n<<: 5\n", 2, "<< takes a mapping"),
        ("%YAML 3.0\n---\na: 1\n", 1, "not valid YAML"),
        ("a: !!binary '*'\n", 1, "base64"),
    ],
)
def test_what_is_broken_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    error = refused(text)

    assert error.line == line, error.message
    assert words in error.message


def test_no_value_of_the_file_is_in_an_error() -> None:
    error = refused("apiVersion: v1\nkind: Secret\nstringData:\n  password: 's3cret-canary\n")

    assert "canary" not in error.message


def test_a_python_tag_constructs_nothing() -> None:
    (parsed,) = load("a: !!python/object/apply:os.system ['exit 1']\nb: !!python/name:os.system x\n")

    assert parsed.value == {"a": ["exit 1"], "b": "x"}


def test_numbers_past_every_type_are_texts_floats_or_refused() -> None:
    (found,) = load("a: " + "9" * 100_000 + "\nb: 0x" + "f" * 17 + "\nc: 0b" + "1" * 64 + "\n")
    assert found.value == {"a": "9" * 100_000, "b": "0x" + "f" * 17, "c": float(2**64)}
    for text in ('{"a": ' + "9" * 390 + "}", '{"a": 1e999}'):
        with pytest.raises(ManifestError, match="large"):
            jsontext.load(text.encode(), LIMITS)


def test_empty_documents_are_left_out() -> None:
    assert load("# only a comment\n---\n---\n~\n") == []


# YAML allows fewer control characters than JSON does.
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn"), exclude_characters="\ufeff\u2028\u2029"))
SIMPLE = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)


@given(
    st.recursive(
        SIMPLE,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=20,
    )
)
def test_json_is_read_the_same_by_both_loaders(value: object) -> None:
    data = orjson.dumps({"v": value})
    expected = orjson.loads(data)

    assert jsontext.load(data, LIMITS)[0].value == expected
    assert yaml.load(data, LIMITS)[0].value == expected


class TestJson:
    """The JSON loader."""

    def refused(self, text: str) -> ManifestError:
        with pytest.raises(ManifestError) as caught:
            jsontext.load(text.encode(), LIMITS)
        return caught.value

    def test_fields_have_lines(self) -> None:
        (parsed,) = jsontext.load(b'{\n "kind": "Pod",\n "spec": {\n\t"list": [1,\n  {"x": 2}]}}\n', LIMITS)

        assert parsed.places.line(parsed.value, "kind") == 2
        assert parsed.places.line(parsed.value, "spec.list[1].x") == 5
        assert parsed.places.line(parsed.value, "spec.list[0]") == 4

    def test_several_objects_follow_each_other(self) -> None:
        assert [parsed.value for parsed in jsontext.load(b'{"a": 1}\n{"b": 2}', LIMITS)] == [{"a": 1}, {"b": 2}]

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ('{"a": 1,\n "a": 2}', 2, "duplicate key"),
            ('{"a": 1', 1, "expected"),
            ('{"a": }', 1, "expected a value"),
            ('{"a": 1,}', 1, "expected a key"),
            ('{\n// comment\n"a": 1}', 2, "expected a key"),
            ('{"a": NaN}', 1, "expected a value"),
            ('{"a": 1e999}', 1, "too large"),
            ('{"a": "\\u0000"}', 1, "U+0000"),
            ('{"a": "\\ud800"}', 1, "surrogate"),
            ('{"a": tru}', 1, "expected a value"),
            ('{"a": "x\ny"}', 1, "not valid JSON"),
            ("", 0, ""),
        ],
    )
    def test_what_is_broken_is_refused(self, text: str, line: int, words: str) -> None:
        if not text:
            assert jsontext.load(b"", LIMITS) == []
            return
        error = self.refused(text)
        assert error.line == line
        assert words in error.message

    def test_depth_is_bounded(self) -> None:
        assert "deeper than" in self.refused("[" * 100_000).message

    def test_surrogate_pairs_are_one_character(self) -> None:
        assert jsontext.load(b'{"a": "\\ud83d\\ude00"}', LIMITS)[0].value == {"a": "\U0001f600"}
