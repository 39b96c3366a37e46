"""Bodies to documents: what is accepted, and in which words the rest is refused."""

from __future__ import annotations

import orjson
import pytest

from moorage.api import decode
from moorage.api.decode import Decoded, decode_body, decode_object, decode_patch, warning_header
from moorage.api.errors import ApiError
from moorage.resources.kind import Kind
from tests.unit.api.kinds import CONFIGMAP, DEPLOYMENT, SECRET

JSON = "application/json"


def decoded(text: str | bytes, of: Kind = CONFIGMAP, content_type: str = JSON, strictness: str = "Warn") -> Decoded:
    return decode_object(text if isinstance(text, bytes) else text.encode(), content_type, of, strictness)


def refused(text: str | bytes, of: Kind = CONFIGMAP, content_type: str = JSON, strictness: str = "Warn") -> ApiError:
    with pytest.raises(ApiError) as caught:
        decoded(text, of, content_type, strictness)
    return caught.value


def test_an_object_is_read_and_completed() -> None:
    assert decoded('{"metadata":{"name":"a"},"data":{"k":"v"}}').document == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"k": "v"},
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "unexpected end of JSON input"),
        ('{"metadata":', "unexpected end of JSON input"),
        ('{"a" "b"}', "invalid character '\"'"),
        ("[]", "cannot unmarshal array into Go value of type ConfigMap"),
        ("null", "cannot unmarshal null into Go value of type ConfigMap"),
        ("3", "cannot unmarshal number"),
        ('"x"', "cannot unmarshal string"),
        ('{"data":{"k":NaN}}', "JSON has no such value"),
        (b'{"data":{"k":"\xff"}}', "invalid UTF-8 at byte 14"),
        ('{"data":{"k":"a\\u0000b"}}', "data.k: Invalid value: must not contain the character U+0000"),
        ('{"data":{"k":"\\ud800"}}', "data.k: Invalid value: must not contain a lone surrogate"),
        ('{"data":{"\\u0000":"x"}}', "data (a key): Invalid value"),
    ],
)
def test_what_is_no_object_is_refused_with_the_kind_in_the_message(body: str | bytes, words: str) -> None:
    error = refused(body)
    assert error.code == 400
    assert error.message.startswith("the object provided is unrecognized (must be of type ConfigMap)")
    assert words in error.message


def test_an_escaped_backslash_before_u0000_is_text() -> None:
    assert decoded(r'{"data":{"k":"\\u0000"}}').document["data"] == {"k": r"\u0000"}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [210, 5000, 200_000])
def test_deep_nesting_is_refused(opening: str, depth: int) -> None:
    closing = "]" if opening == "[" else "}"
    body = '{"data":' + opening * depth + "1" + closing * depth + "}"
    assert refused(body).code == 400


def test_depth_within_the_limit_passes() -> None:
    nested = '{"x":' + "[" * 190 + "]" * 190 + "}"
    assert decode_body(nested.encode(), JSON).document["x"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            '{"apiVersion":"apps/v1","kind":"ConfigMap"}',
            "the API version in the data (apps/v1) does not match the expected API version (v1)",
        ),
        (
            '{"apiVersion":"v1","kind":"Secret"}',
            'Secret in version "v1" cannot be handled as a ConfigMap: '
            'no kind "ConfigMap" can be read from a document of kind "Secret"',
        ),
    ],
)
def test_another_kind_than_the_url_is_refused(document: str, message: str) -> None:
    assert refused(document).message == message


def test_an_apiversion_that_is_no_string_is_refused() -> None:
    assert "must be strings" in refused('{"apiVersion":7,"kind":"ConfigMap"}').message


def test_wrong_types_are_refused_in_the_decoders_words() -> None:
    error = refused('{"spec":{"replicas":"three"}}', DEPLOYMENT)
    assert error.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: '
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    )


UNKNOWN = '{"spec":{"foo":1,"template":{"spec":{"containers":[{"name":"a","bar":2}]}}}}'


def test_unknown_fields_are_refused_where_asked_for() -> None:
    error = refused(UNKNOWN, DEPLOYMENT, strictness="Strict")
    assert error.code == 400
    assert error.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        'unknown field "spec.foo", unknown field "spec.template.spec.containers[0].bar"'
    )


def test_unknown_fields_are_dropped_with_warnings() -> None:
    result = decoded(UNKNOWN, DEPLOYMENT)
    assert result.warnings == ('unknown field "spec.foo"', 'unknown field "spec.template.spec.containers[0].bar"')
    assert result.document["spec"]["template"]["spec"]["containers"] == [{"name": "a"}]


def test_unknown_fields_are_dropped_silently() -> None:
    assert decoded(UNKNOWN, DEPLOYMENT, strictness="Ignore").warnings == ()


@pytest.mark.parametrize(
    "body",
    [
        '{"data":{"k":"1","k":"2"}}',
        '{"data" : {"k" : "1" , "k" : "2"}}',
        '{"data":{"k":"1","\\u006b":"2"}}',
        '{"data":{"k":"1","k":"\\u0022:"}}',
        '{"data":{"k":"2"},"data":{"k":"2"}}',
    ],
)
def test_duplicate_keys_are_found_however_they_are_written(body: str) -> None:
    path = "data" if body.startswith('{"data":{"k":"2"}') else "data.k"
    error = refused(body, strictness="Strict")
    assert error.message.endswith(f'strict decoding error: duplicate field "{path}"')
    assert decoded(body).warnings == (f'duplicate field "{path}"',)
    assert decoded(body, strictness="Ignore").warnings == ()


@pytest.mark.parametrize("body", ['{"data":{"a":"\\"k\\":1","k":"\\u0022"}}', '{ "data" : { "k" : "é\\u00e9" } }'])
def test_what_only_looks_like_a_duplicate_is_none(body: str) -> None:
    assert decoded(body, strictness="Strict").warnings == ()


@pytest.mark.parametrize("content_type", ["application/cbor", "text/plain", "application/xml; a=b"])
def test_other_media_types_are_unsupported(content_type: str) -> None:
    error = refused("{}", content_type=content_type)
    assert (error.code, error.reason) == (415, "UnsupportedMediaType")
    assert error.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


@pytest.mark.parametrize("content_type", ["", JSON, "application/json; charset=utf-8", "Application/JSON"])
def test_json_in_all_spellings(content_type: str) -> None:
    assert decoded("{}", content_type=content_type).document["kind"] == "ConfigMap"


def test_yaml_bodies_are_read() -> None:
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  at: '22:22'\n"
    assert decoded(body, content_type="application/yaml").document["data"] == {"at": "22:22"}


def test_a_key_twice_in_yaml_is_refused_with_its_line() -> None:
    error = refused("kind: ConfigMap\nkind: ConfigMap\n", content_type="application/yaml")
    assert 'yaml: line 2: key "kind" already set in map' in error.message


def test_a_large_body_is_refused() -> None:
    error = refused(b" " * (decode.MAX_BODY + 1))
    assert (error.code, error.reason) == (413, "RequestEntityTooLarge")
    assert "limit is 3145728" in error.message


def test_the_text_of_a_secret_is_not_in_the_message() -> None:
    error = refused('{"data":{"password":"hunter2"', SECRET)
    assert "hunter2" not in error.message


@pytest.mark.parametrize("content_type", ["application/json", "application/strategic-merge-patch", ""])
def test_a_patch_needs_a_patch_type(content_type: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_patch(b"{}", content_type)
    assert caught.value.code == 415
    assert "application/strategic-merge-patch+json" in caught.value.message


def test_an_apply_patch_is_yaml_or_json() -> None:
    apply = "application/apply-patch+yaml"
    assert decode_patch(b"a: [1, yes]", apply) == {"a": [1, True]}
    assert decode_patch(b'{"a": 1}', apply) == {"a": 1}
    assert decode_patch(b"{a: 1}", apply) == {"a": 1}
    with pytest.raises(ApiError, match="error decoding YAML: yaml: line "):
        decode_patch(b"{a: [", apply)
    with pytest.raises(ApiError, match='key "a" already set in map'):
        decode_patch(b'{"a": 1, "a": 2}', apply)


def test_a_broken_json_patch_is_a_bad_request() -> None:
    with pytest.raises(ApiError, match="error decoding patch: json parse error") as caught:
        decode_patch(b"{", "application/merge-patch+json")
    assert caught.value.code == 400


def test_any_object_is_read_without_a_kind() -> None:
    assert decode_body(b'{"a":1}', JSON).document == {"a": 1}
    for body in (b"[]", b"{"):
        with pytest.raises(ApiError) as caught:
            decode_body(body, JSON)
        assert caught.value.code == 400
    with pytest.raises(ApiError, match='duplicate field "a"'):
        decode_body(b'{"a":1,"a":2}', JSON, "Strict")


def test_warnings_cannot_break_out_of_their_header() -> None:
    header = warning_header('unknown field "a\r\nSet-Cookie: x\\"')
    assert header == '299 - "unknown field \\"a  Set-Cookie: x\\\\\\""'


def test_every_json_document_survives_a_round_trip() -> None:
    document = {"data": {f"key{index}": "ü\u2028\U0001f600" * index for index in range(50)}}
    assert decoded(orjson.dumps(document)).document["data"] == document["data"]
