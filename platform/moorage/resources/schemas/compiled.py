"""Definitions compiled into walkers: one small object per type, which decodes as Kubernetes' typed decoder does.

A walker returns the value as Kubernetes would store it: nulls, unknown fields and empty lists and maps gone, times and
quantities in their canonical form. Findings go to the ``Findings`` that is handed along.
Source of the wording: Go's ``encoding/json`` as apimachinery's decoder reports it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moorage.resources import quantity, timestamps
from moorage.resources.field_errors import quoted
from moorage.resources.schemas import definitions as schema_set
from moorage.resources.schemas.definitions import Definitions, Node
from moorage.resources.schemas.gotypes import FIELD_TYPES

_INT_RANGE = {"int32": 31, "int64": 63}
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


class _Missing:
    """The type of MISSING."""


MISSING = _Missing()
"""What a walker returns for a value that is to be left out."""


@dataclass(slots=True)
class Findings:
    """What decoding found. ``errors`` refuse the document (400); ``unknown`` are paths of fields that were dropped."""

    errors: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class At:
    """Where a walker is: the path for people, the decoder's field path, and the struct that the field is in."""

    path: str = ""
    go_path: str = ""
    struct: str = ""


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"


class Walker:
    """Decodes one type. ``go`` is the name that decode errors give it."""

    __slots__ = ("go",)

    def __init__(self, go: str) -> None:
        self.go = go

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """The decoded ``value`` (not null), or MISSING."""
        raise TypeError(f"{type(self).__name__} does not decode")

    def null(self) -> Any:
        """What a null item of a list or map becomes: the type's zero value."""
        return MISSING

    def mismatch(self, value: Any, at: At, found: Findings, shown: str = "") -> Any:
        """Report that ``value`` is not of this type."""
        place = f"Go struct field {at.struct}.{at.go_path}" if at.struct else "Go value"
        found.errors.append(f"json: cannot unmarshal {shown or _kind_of(value)} into {place} of type {self.go}")
        return MISSING


class Struct(Walker):
    """An object with known fields."""

    __slots__ = ("fields", "name")

    def __init__(self, go: str, name: str) -> None:
        super().__init__(go)
        self.name = name
        self.fields: dict[str, Walker] = {}

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """Walk the fields, in the document's order."""
        if not isinstance(value, dict):
            return self.mismatch(value, at, found)
        dropped = []
        for key, child in value.items():
            path = f"{at.path}.{key}" if at.path else key
            walker = self.fields.get(key)
            if walker is None:
                found.unknown.append(path)
                dropped.append(key)
                continue
            if child is not None:
                go_path = f"{at.go_path}.{key}" if at.go_path else key
                child = walker.walk(child, At(path, go_path, self.name), found)
            if child is None or child is MISSING:
                dropped.append(key)
            else:
                value[key] = child
        for key in dropped:
            del value[key]
        return value

    def null(self) -> Any:
        """An empty object."""
        return {}


class List(Walker):
    """An array."""

    __slots__ = ("items",)

    def __init__(self, items: Walker) -> None:
        super().__init__(f"[]{items.go}")
        self.items = items

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """Walk the items; an empty list is left out."""
        if not isinstance(value, list):
            return self.mismatch(value, at, found)
        for index, item in enumerate(value):
            here = At(f"{at.path}[{index}]", at.go_path, at.struct)
            item = self.items.null() if item is None else self.items.walk(item, here, found)
            value[index] = "" if item is MISSING else item
        return value or MISSING


class Map(Walker):
    """An object with free keys."""

    __slots__ = ("values",)

    def __init__(self, values: Walker) -> None:
        super().__init__(f"map[string]{values.go}")
        self.values = values

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """Walk the values; an empty map is left out."""
        if not isinstance(value, dict):
            return self.mismatch(value, at, found)
        for key, item in value.items():
            here = At(f"{at.path}.{key}", at.go_path, at.struct)
            item = self.values.null() if item is None else self.values.walk(item, here, found)
            value[key] = "" if item is MISSING else item
        return value or MISSING


class Text(Walker):
    """A string."""

    __slots__ = ()

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """A string as it is."""
        return value if isinstance(value, str) else self.mismatch(value, at, found)

    def null(self) -> Any:
        """The empty string."""
        return ""


class Bool(Walker):
    """A boolean."""

    __slots__ = ()

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """A boolean as it is."""
        return value if isinstance(value, bool) else self.mismatch(value, at, found)


class Integer(Walker):
    """An int32 or int64."""

    __slots__ = ("limit",)

    def __init__(self, go: str) -> None:
        super().__init__(go)
        self.limit: int = 1 << _INT_RANGE.get(go, 63)

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """An integer within the type's range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.mismatch(value, at, found)
        if isinstance(value, float) or not -self.limit <= value < self.limit:
            return self.mismatch(value, at, found, "number" if found.sealed else f"number {value}")
        return value

    def null(self) -> Any:
        """Zero."""
        return 0


class Number(Walker):
    """A float."""

    __slots__ = ()

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """A number as it is."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.mismatch(value, at, found)
        return value


class IntOrText(Walker):
    """A string or an int32."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        super().__init__("intstr.IntOrString")
        self.number = Integer("int32")

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """A string as it is; else what an int32 must be."""
        return value if isinstance(value, str) else self.number.walk(value, at, found)


class Any_(Walker):
    """Anything, kept as it is."""

    __slots__ = ()

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """The value itself."""
        return value

    def null(self) -> Any:
        """Null stays null."""
        return None


class Rendered(Walker):
    """A string with a meaning, brought into its canonical form by ``render`` (which raises ValueError)."""

    __slots__ = ("accepts_numbers", "render")

    def __init__(self, go: str, render: Callable[[str], str], *, accepts_numbers: bool = False) -> None:
        super().__init__(go)
        self.render = render
        self.accepts_numbers = accepts_numbers

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """The canonical form."""
        if self.accepts_numbers and isinstance(value, int | float) and not isinstance(value, bool):
            value = repr(value)
        if not isinstance(value, str):
            return self.mismatch(value, at, found)
        try:
            return self.render(value)
        except ValueError as error:
            text = f"is not a valid {self.go}" if found.sealed else f"{error}: {quoted(value[:64])}"
            found.errors.append(f"{at.path}: {text}")
            return MISSING

    def null(self) -> Any:
        """A zero quantity prints 0; a zero time is left out."""
        return "0" if self.accepts_numbers else MISSING


def base64_text(value: str) -> str:
    """``value`` without line breaks, where it is standard base64 with padding. Raises ValueError, worded as Go does."""
    text = value.replace("\n", "").replace("\r", "")
    match = _BASE64.match(text)
    end = match.end() if match else 0
    if end < len(text):
        raise ValueError(f"illegal base64 data at input byte {end}")
    if len(text) % 4:
        raise ValueError(f"illegal base64 data at input byte {len(text) - len(text) % 4}")
    return text


class Bytes(Walker):
    """Base64. Its errors never show the value."""

    __slots__ = ()

    def walk(self, value: Any, at: At, found: Findings) -> Any:
        """The base64 text without line breaks."""
        if not isinstance(value, str):
            return self.mismatch(value, at, found)
        try:
            return base64_text(value)
        except ValueError as error:
            found.errors.append(f"{at.path}: {error}")
            return MISSING

    def null(self) -> Any:
        """No bytes."""
        return ""


_SPECIAL: Mapping[str, Callable[[], Walker]] = {
    schema_set.QUANTITY: lambda: Rendered("resource.Quantity", quantity.canonical, accepts_numbers=True),
    schema_set.TIME: lambda: Rendered("v1.Time", timestamps.canonical),
    schema_set.MICRO_TIME: lambda: Rendered("v1.MicroTime", timestamps.canonical_micro),
    schema_set.INT_OR_STRING: IntOrText,
}


def _without_null(kind: Any) -> Any:
    """``string`` for ``["string", "null"]``."""
    return next((name for name in kind if name != "null"), None) if isinstance(kind, list) else kind


class Compiler:
    """Walkers of a set of definitions, made when first asked for."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._walkers: dict[str, Walker] = {}

    def forget(self) -> None:
        """Compile anew: a definition was changed."""
        self._walkers.clear()

    def walker(self, name: str) -> Walker:
        """The walker of the definition ``name``. Raises KeyError where there is none."""
        walker = self._walkers.get(name)
        if walker is None:
            walker = self._compile_definition(name)
        return walker

    def _compile_definition(self, name: str) -> Walker:
        if name in _SPECIAL:
            walker = self._walkers[name] = _SPECIAL[name]()
            return walker
        node = self._definitions.definition(name)
        if name in schema_set.FREE_FORM or "type" not in node:
            walker = self._walkers[name] = Any_("interface {}")
            return walker
        parts = name.split(".")
        struct = Struct(f"{parts[-2]}.{parts[-1]}", parts[-1])
        self._walkers[name] = struct
        for key, child in node.get("properties", {}).items():
            struct.fields[key] = self._compile(child, FIELD_TYPES.get((parts[-1], key), ""))
        return struct

    def _compile(self, node: Node, go: str = "") -> Walker:
        if "$ref" in node:
            return self.walker(node["$ref"].removeprefix(schema_set.PREFIX))
        kind = _without_null(node.get("type"))
        if kind == "array":
            return List(self._compile(node["items"]))
        if kind == "object":
            values = node.get("additionalProperties")
            return Map(self._compile(values)) if isinstance(values, Mapping) else Any_("interface {}")
        if kind == "string":
            return Bytes("[]uint8") if node.get("format") == "byte" else Text(go or "string")
        if kind == "integer":
            return Integer(node.get("format", "int64"))
        return {"boolean": Bool("bool"), "number": Number("float64")}.get(kind) or Any_("interface {}")
