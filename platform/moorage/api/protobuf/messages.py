"""Messages of the Kubernetes API to JSON documents, by the table of field numbers."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from moorage.api.protobuf import wire

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Field = tuple[str, str, str]
"""JSON name, type, flags (p pointer, o omitempty, i inline, l list); see ``scripts/protobuf_fields.py``."""


@cache
def table() -> dict[str, dict[int, Field]]:
    """Fields by number, by definition."""
    text = files(__package__).joinpath("fields.json").read_text("utf-8")
    return {
        name: {int(number): (field[0], field[1], field[2]) for number, field in message.items()}
        for name, message in orjson.loads(text).items()
    }


def message(definition: str, data: bytes) -> dict[str, Any]:
    """A message as the JSON object that a Go client would have sent. Fields that we do not know are passed over, as Go does.

    Raises ValueError for what is no such message. No type of the table contains itself, so the types bound the nesting.
    """
    known = table()[definition]
    found: dict[str, Any] = {}
    for number, value in wire.fields(data):
        if number in known:
            _put(found, known[number], value)
    return found


def _put(found: dict[str, Any], field: Field, value: int | bytes) -> None:
    name, type_, flags = field
    if type_.startswith("map:"):
        key, item = _entry(type_[4:], value)
        found.setdefault(name, {})[key] = item
        return
    decoded = _value(type_, value)
    if "i" in flags and isinstance(decoded, dict):
        found.update(decoded)
    elif "l" in flags:
        found.setdefault(name, []).append(decoded)
    elif decoded is None or ("o" in flags and "p" not in flags and decoded in ("", 0, False)):
        return  # Go writes the zero values of these, and its JSON leaves them out
    else:
        found[name] = decoded


def _entry(type_: str, value: int | bytes) -> tuple[str, Any]:
    key, item = "", _zero(type_)
    for number, part in wire.fields(_bytes(value)):
        if number == 1:
            key = _text(part)
        elif number == 2:
            item = _value(type_, part)
    return key, item


def _zero(type_: str) -> Any:
    return {"string": "", "bytes": "", "int": 0, "bool": False}.get(type_)


def _value(type_: str, value: int | bytes) -> Any:
    scalar = SCALARS.get(type_) or SPECIAL.get(type_)
    return scalar(value) if scalar else message(type_, _bytes(value))


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("proto: a number stands where a message or text is expected")
    return value


def _int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("proto: bytes stand where a number is expected")
    return wire.signed(value)


def _double(value: int | bytes) -> float:
    if isinstance(value, int) or len(value) != 8:
        raise ValueError("proto: a double has 8 bytes")
    number: float = struct.unpack("<d", value)[0]
    return number


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"proto: a text is not UTF-8 (byte {error.start})") from error


def _single(value: int | bytes, number: int) -> int | bytes | None:
    return next((part for field, part in wire.fields(_bytes(value)) if field == number), None)


def _quantity(value: int | bytes) -> str:
    return _text(_single(value, 1) or b"")


def _int_or_string(value: int | bytes) -> int | str:
    parts = dict(wire.fields(_bytes(value)))
    return _text(parts.get(3, b"")) if parts.get(1, 0) else _int(parts.get(2, 0))


def _instant(value: int | bytes) -> tuple[datetime, int] | None:
    parts = dict(wire.fields(_bytes(value)))
    seconds, nanos = _int(parts.get(1, 0)), _int(parts.get(2, 0))
    if not seconds and not nanos:
        return None
    try:
        return EPOCH + timedelta(seconds=seconds), nanos
    except OverflowError as error:
        raise ValueError(f"proto: {seconds} s since 1970 is no time that RFC 3339 can write") from error


def _time(value: int | bytes) -> str | None:
    instant = _instant(value)
    return instant and f"{instant[0]:%Y-%m-%dT%H:%M:%SZ}"


def _micro_time(value: int | bytes) -> str | None:
    instant = _instant(value)
    return instant and f"{instant[0]:%Y-%m-%dT%H:%M:%S}.{instant[1] // 1000:06d}Z"


def _raw_json(value: int | bytes) -> Any:
    raw = _single(value, 1)
    return orjson.loads(_bytes(raw)) if raw else None


SCALARS: dict[str, Callable[[int | bytes], Any]] = {
    "bool": lambda value: bool(_int(value)),
    "int": _int,
    "double": _double,
    "string": _text,
    "bytes": lambda value: base64.b64encode(_bytes(value)).decode(),
}

SPECIAL: dict[str, Callable[[int | bytes], Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    META + "Time": _time,
    META + "MicroTime": _micro_time,
    META + "FieldsV1": _raw_json,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _raw_json,
}
