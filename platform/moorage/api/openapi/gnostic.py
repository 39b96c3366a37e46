"""``/openapi/v2`` in protobuf, which is how kubectl reads it for kinds that cannot be patched (reviews, evictions).

kubectl looks for the parameter ``fieldValidation`` at a kind's PATCH in ``/openapi/v3``; where the kind has no PATCH it falls
back on this document, in this form only. There it looks whether Namespaces take the parameter, and where they do, whether the
kind is a custom one, by listing CustomResourceDefinitions: those are not served, and few people might list them. So this form
(and it alone) does not tell of the parameter, and kubectl validates such files itself, by the definitions in here.
Source: ``gnostic/openapiv2/OpenAPIv2.proto``, package ``openapi.v2`` (the messages and numbers below are its); maps are lists of
named values there, and what begins with "x-" is YAML.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from moorage.api.protobuf.wire import FIXED64, LENGTH, VARINT

_Encoder = Callable[[int, Any], bytes]
"""(field number, value) -> the field's bytes."""
_Message = dict[str, tuple[int, _Encoder]]
_EXTENSION = "x-"


_LEFT_OUT = "fieldValidation"


def document(openapi: Mapping[str, Any]) -> bytes:
    """A whole Swagger 2.0 document as ``openapi.v2.Document``. Raises KeyError for what has no place in it."""
    return _encoded(_DOCUMENT, openapi)


def _encoded(message: _Message, value: Mapping[str, Any]) -> bytes:
    parts = []
    for key, each in value.items():
        if key.startswith(_EXTENSION):
            parts.append(_inner(message[_EXTENSION][0], _text(1, key) + _inner(2, _any(each))))
            continue
        number, encode = message[key]
        parts.extend(encode(number, item) for item in (each if isinstance(each, list) else (each,)))
    return b"".join(parts)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _inner(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(content)) + content


def _text(number: int, value: str) -> bytes:
    return _inner(number, value.encode())


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value & 0xFFFFFFFFFFFFFFFF)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | FIXED64) + struct.pack("<d", value)


def _any(value: Any) -> bytes:
    """JSON is YAML."""
    return _text(2, orjson.dumps(value).decode())


def _anything(number: int, value: Any) -> bytes:
    return _inner(number, _any(value))


def _a(message: _Message) -> _Encoder:
    return lambda number, value: _inner(number, _encoded(message, value))


def _wrapped(inside: int, message: _Message) -> _Encoder:
    """A message that holds nothing but this one."""
    return lambda number, value: _inner(number, _inner(inside, _encoded(message, value)))


def _strings(number: int, value: str) -> bytes:
    return _inner(number, _text(1, value))


def _named(field: int, encode: _Encoder) -> _Encoder:
    """A map, as a message with a repeated ``field`` of (name, value)."""

    def encoded(number: int, value: Mapping[str, Any]) -> bytes:
        return _inner(number, b"".join(_inner(field, _text(1, name) + encode(2, each)) for name, each in value.items()))

    return encoded


def _additional(number: int, value: Any) -> bytes:
    return _inner(number, _integer(2, value) if isinstance(value, bool) else _inner(1, _encoded(_SCHEMA, value)))


def _parameter(number: int, value: Mapping[str, Any]) -> bytes:
    """ParametersItem: a reference, or a Parameter of the body, or one elsewhere by where it is."""
    if value.get("name") == _LEFT_OUT:
        return b""
    if "$ref" in value:
        return _inner(number, _inner(2, _text(1, value["$ref"])))
    place = value["in"]
    if place == "body":
        return _inner(number, _inner(1, _inner(1, _encoded(_BODY, value))))
    which, message = {"header": (1, _PATH_OR_HEADER), "query": (3, _QUERY), "path": (4, _PATH_OR_HEADER)}[place]
    return _inner(number, _inner(1, _inner(2, _inner(which, _encoded(message, value)))))


def _requirement(number: int, value: Mapping[str, list[str]]) -> bytes:
    named = (_text(1, name) + _inner(2, b"".join(_text(1, each) for each in scopes)) for name, scopes in value.items())
    return _inner(number, b"".join(_inner(1, each) for each in named))


_SCHEMA: _Message = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, _anything),
    "maximum": (7, _double),
    "minimum": (9, _double),
    "maxLength": (11, _integer),
    "minLength": (12, _integer),
    "pattern": (13, _text),
    "maxItems": (14, _integer),
    "minItems": (15, _integer),
    "required": (19, _text),
    "enum": (20, _anything),
    "additionalProperties": (21, _additional),
    "type": (22, _strings),
    _EXTENSION: (31, _anything),
}
_SCHEMA["items"] = (23, _wrapped(1, _SCHEMA))
_SCHEMA["allOf"] = (24, _a(_SCHEMA))
_SCHEMA["properties"] = (25, _named(1, _a(_SCHEMA)))
_BODY: _Message = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _integer),
    "schema": (5, _a(_SCHEMA)),
}
_PATH_OR_HEADER: _Message = {
    "required": (1, _integer),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
    "format": (6, _text),
    "uniqueItems": (19, _integer),
}
_QUERY: _Message = {**_PATH_OR_HEADER, "type": (6, _text), "format": (7, _text), "uniqueItems": (20, _integer)}
_RESPONSE: _Message = {"description": (1, _text), "schema": (2, _wrapped(1, _SCHEMA))}
_OPERATION: _Message = {
    "tags": (1, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _text),
    "consumes": (7, _text),
    "parameters": (8, _parameter),
    "responses": (9, _named(1, _wrapped(1, _RESPONSE))),
    "schemes": (10, _text),
    _EXTENSION: (13, _anything),
}
_PATH_ITEM: _Message = {
    "get": (2, _a(_OPERATION)),
    "put": (3, _a(_OPERATION)),
    "post": (4, _a(_OPERATION)),
    "delete": (5, _a(_OPERATION)),
    "patch": (8, _a(_OPERATION)),
    "parameters": (9, _parameter),
}
_KEY: _Message = {"type": (1, _text), "name": (2, _text), "in": (3, _text), "description": (4, _text)}
_DOCUMENT: _Message = {
    "swagger": (1, _text),
    "info": (2, _a({"title": (1, _text), "version": (2, _text)})),
    "paths": (8, _named(2, _a(_PATH_ITEM))),
    "definitions": (9, _named(1, _a(_SCHEMA))),
    "security": (12, _requirement),
    "securityDefinitions": (13, _named(1, _wrapped(2, _KEY))),
}
