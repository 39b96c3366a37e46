"""Request bodies to documents.

* ``decode_object(body, content_type, kind, strictness)`` -> ``Decoded(document, warnings)``: an object of ``kind`` in stored
  form (types checked, unknown fields dropped, apiVersion and kind filled in). Raises ApiError 400, 413 or 415.
* ``decode_body(body, content_type, strictness)`` -> ``Decoded``: any JSON object (DeleteOptions, Transactions).
* ``decode_patch(body, content_type)`` -> JSON value of a patch body.
* ``conform(document, kind, strictness)`` -> warnings: checks and normalises what is decoded already (an operation's object).
* ``conform_patched(document, kind, patch, strictness)`` -> the same for what a patch made, whose mistakes are 422.
* ``MAX_BODY``: the limit of a body in bytes; ``too_large()`` is its refusal.

``strictness`` is the query parameter fieldValidation: ``Strict``, ``Warn`` (the default) or ``Ignore``. Warnings are texts
for ``Warning: 299 - "..."`` headers (``warning_header``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import orjson

from moorage.api import json_scan, protobuf
from moorage.api.errors import ApiError, bad_request, invalid
from moorage.api.json_values import type_name
from moorage.api.negotiate import JSON, JSON_PATCH, PATCH_TYPES, PROTOBUF, YAML, media_type, unsupported_media_type
from moorage.api.yamldoc import YamlError, load_yaml
from moorage.resources.kind import Document, FieldError, Kind
from moorage.resources.schemas import cannot_be_handled, normalise

MAX_BODY: Final = 3 * 1024 * 1024
"""Bytes of a request body (kube-apiserver's MaxRequestBodyBytes)."""
MAX_DEPTH: Final = 200
"""Nesting of objects and lists. Kubernetes stops at 10,000; no kind comes near 60."""
MAX_SHOWN: Final = 1024
"""Characters of a patch that a refusal repeats."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A document, and what to warn the client of."""

    document: Document
    warnings: tuple[str, ...] = ()


def too_large(limit: int = MAX_BODY) -> ApiError:
    """413 for a body over the limit."""
    return ApiError(413, f"Request entity too large: limit is {limit}")


def decode_object(body: bytes, content_type: str, kind: Kind, strictness: str = "Warn") -> Decoded:
    """An object of ``kind``. Missing apiVersion and kind are filled in; others than the URL's are refused."""
    try:
        value, duplicates = _value(body, content_type, strictness)
    except ValueError as error:
        raise _unrecognised(kind, str(error)) from error
    if not isinstance(value, dict):
        raise _unrecognised(kind, f"json: cannot unmarshal {type_name(value)} into Go value of type {kind.kind}")
    check_type(value, kind)
    return Decoded(value, conform(value, kind, strictness, duplicates))


def check_type(document: Document, kind: Kind) -> None:
    """Fill in apiVersion and kind, or refuse those of something else. Raises ApiError 400."""
    given = document.get("apiVersion") or kind.api_version
    name = document.get("kind") or kind.kind
    if given == kind.api_version and name == kind.kind:
        document["apiVersion"], document["kind"] = given, name
        return
    if not isinstance(given, str) or not isinstance(name, str):
        raise _unrecognised(kind, "json: cannot unmarshal apiVersion or kind: both must be strings")
    if given != kind.api_version:
        raise bad_request(
            f"the API version in the data ({given}) does not match the expected API version ({kind.api_version})"
        )
    version = given.rpartition("/")[2]
    raise bad_request(
        f'{name} in version "{version}" cannot be handled as a {kind.kind}: '
        f'no kind "{kind.kind}" can be read from a document of kind "{name}"'
    )


def conform(
    document: Document, kind: Kind, strictness: str = "Warn", duplicates: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Bring ``document`` into stored form, in place. Returns warnings. Raises ApiError 400 for wrong types, and for
    unknown or duplicate fields where ``strictness`` is Strict.
    """
    problem, warnings = _judged(document, kind, strictness, duplicates)
    if problem:
        raise bad_request(cannot_be_handled(kind, problem))
    return warnings


def conform_patched(
    document: Document, kind: Kind, patch: Any, strictness: str = "Warn", duplicates: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The same for what ``patch`` made of an object: it is the patch that is invalid then. Raises ApiError 422."""
    problem, warnings = _judged(document, kind, strictness, duplicates)
    if problem:
        shown = "" if kind.sealed else orjson.dumps(patch).decode()[:MAX_SHOWN]
        raise invalid(
            "", "", "", [FieldError("patch", "FieldValueInvalid", f"Invalid value: {json.dumps(shown)}: {problem}")]
        )
    return warnings


def _judged(
    document: Document, kind: Kind, strictness: str, duplicates: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """(what is wrong with it or "", warnings); the document is brought into stored form."""
    found = normalise(kind, document)
    if found.errors:
        return found.errors[0], ()
    if not found.unknown and not duplicates:
        return "", ()
    texts = (*(f'unknown field "{path}"' for path in found.unknown), *duplicates)
    if strictness == "Strict":
        return f"strict decoding error: {', '.join(texts)}", ()
    return "", (() if strictness == "Ignore" else texts)


def decode_body(body: bytes, content_type: str, strictness: str = "Warn") -> Decoded:
    """Any JSON or YAML object. Raises ApiError 400, 413 or 415."""
    try:
        value, duplicates = _value(body, content_type, strictness)
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; {error}") from error
    if not isinstance(value, dict):
        raise bad_request(f"the body must be a JSON object, not {type_name(value)}")
    if duplicates and strictness == "Strict":
        raise bad_request(f"strict decoding error: {', '.join(duplicates)}")
    return Decoded(value, duplicates)


def decode_patch(body: bytes, content_type: str) -> Any:
    """The JSON value of a patch: JSON for the three JSON patch types, JSON or YAML for ``application/apply-patch+yaml``.

    Raises ApiError 400, 413, or 415 for what is no patch type.
    """
    if len(body) > MAX_BODY:
        raise too_large()
    kind = media_type(content_type)
    if kind not in PATCH_TYPES:
        raise unsupported_media_type(PATCH_TYPES)
    try:
        if kind == "application/apply-patch+yaml":
            return yaml_or_json(body)
        return _json(body)[0]
    except YamlError as error:
        raise bad_request(f"error decoding YAML: {error}") from error
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error


def patch_duplicates(body: bytes, value: Any, media_type_: str) -> tuple[str, ...]:
    """What a JSON patch of any type, read as ``value``, gives twice, as texts for warnings and refusals."""
    if not json_scan.may_have_duplicates(body, value):
        return ()
    prefix = "json patch " if media_type_ == JSON_PATCH else ""
    return tuple(f'{prefix}duplicate field "{path}"' for path in json_scan.duplicates(body))


def yaml_or_json(body: bytes) -> Any:
    """YAML, read by the JSON parser where it can (JSON is YAML). Raises ValueError."""
    if body[:1] == b"{":
        try:
            value = orjson.loads(body)
        except ValueError:
            value = None
        if value is not None and not json_scan.may_have_duplicates(body, value):
            json_scan.check(body, value, MAX_DEPTH)
            return value
    value = load_yaml(body, max_depth=MAX_DEPTH)
    json_scan.check_text(value)
    return value


def warning_header(text: str) -> str:
    """The value of a ``Warning`` header (RFC 7234, 5.5) as kube-apiserver writes it."""
    cleaned = "".join(character if character.isprintable() else " " for character in text)
    return '299 - "' + cleaned.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _value(body: bytes, content_type: str, strictness: str) -> tuple[Any, tuple[str, ...]]:
    """The value of a body, and its duplicate fields (as texts). Raises ValueError for what cannot be parsed."""
    if len(body) > MAX_BODY:
        raise too_large()
    kind = media_type(content_type)
    if kind == JSON:
        value, duplicates = _json(body, want_duplicates=strictness != "Ignore")
        return value, tuple(f'duplicate field "{path}"' for path in duplicates)
    if kind == YAML:
        return yaml_or_json(body), ()
    if kind == PROTOBUF:
        value = protobuf.decode(body)
        json_scan.check_text(value)
        return value, ()
    raise unsupported_media_type((JSON, YAML, PROTOBUF))


def _json(body: bytes, *, want_duplicates: bool = False) -> tuple[Any, list[str]]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"json parse error: {_explain(body, error)}") from error
    json_scan.check(body, value, MAX_DEPTH)
    if want_duplicates and json_scan.may_have_duplicates(body, value):
        return value, json_scan.duplicates(body)
    return value, []


def _explain(body: bytes, error: orjson.JSONDecodeError) -> str:
    """What is wrong with ``body``, in the words of Go's parser where it has some; never the text itself."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as bad:
        return f"invalid UTF-8 at byte {bad.start}"
    lone = json_scan.lone_surrogate(text)
    if lone is not None:
        return lone
    try:
        json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as bad:
        rest = text[bad.pos :].lstrip()
        if not rest:
            return "unexpected end of JSON input"
        return f"invalid character {rest[0]!r} at offset {bad.pos} (line {bad.lineno}, column {bad.colno}): {bad.msg}"
    except RecursionError:
        return f"exceeded max depth of {MAX_DEPTH}"
    except ValueError as bad:
        return str(bad)
    return str(error)


def _no_constant(name: str) -> Any:
    raise ValueError(f"invalid number {name}: JSON has no such value")


def _unrecognised(kind: Kind, problem: str) -> ApiError:
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; {problem}"
    )
