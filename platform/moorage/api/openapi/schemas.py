"""Definitions as OpenAPI writes them: the published JSON Schemas, turned into v3 or v2 schemas.

The published set says "string or null" where OpenAPI says "string", closes every object, and narrows apiVersion and kind; none of
that is in Kubernetes' own documents. v3 wraps a reference that has something beside it in ``allOf``; v2 does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from moorage.resources.schemas import described, reachable

Schema = dict[str, Any]

_PREFIX: Final = "#/$defs/"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_DROPPED: Final = frozenset({"$schema", "$id"})
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS: Final = META + "Status"
DELETE_OPTIONS: Final = META + "DeleteOptions"
PATCH: Final = META + "Patch"


class Definitions:
    """The whole set, for the time of one rendering: it is large."""

    def __init__(self) -> None:
        self._all: Mapping[str, Any] = described()
        self._by_kind: dict[tuple[str, str, str], str] = {}
        for name, schema in self._all.items():
            kinds: list[Mapping[str, str]] = schema.get("x-kubernetes-group-version-kind", [])
            if len(kinds) == 1:  # options and Status are in every group
                only = kinds[0]
                self._by_kind[only["group"], only["version"], only["kind"]] = name

    def has(self, name: str) -> bool:
        """Whether there is a definition called ``name``."""
        return name in self._all

    def of_kind(self, group: str, version: str, kind: str) -> str | None:
        """The name of a kind's definition."""
        return self._by_kind.get((group, version, kind))

    def render(self, roots: Iterable[str], version: int) -> dict[str, Schema]:
        """``roots`` and all that they refer to, as schemas of OpenAPI ``version`` (3 or 2), sorted by name."""
        names = reachable(self._all, [root for root in roots if root in self._all])
        return {name: _definition(name, self._all[name], version) for name in sorted(names)}


def reference(name: str, version: int) -> Schema:
    """A reference to a definition."""
    return {"$ref": f"#/components/schemas/{name}" if version == 3 else f"#/definitions/{name}"}


def _definition(name: str, schema: Mapping[str, Any], version: int) -> Schema:
    if name == _INT_OR_STRING:
        types = [{"type": "integer"}, {"type": "string"}]
        form: Schema = {"oneOf": types} if version == 3 else {"type": "string"}
        return {"description": schema.get("description", ""), "format": "int-or-string", **form}
    if name == _QUANTITY:
        numbers = [{"type": "string"}, {"type": "number"}]
        return {
            "description": schema.get("description", ""),
            **({"oneOf": numbers} if version == 3 else {"type": "string"}),
        }
    return _schema(schema, version, is_root="x-kubernetes-group-version-kind" in schema)


def _schema(schema: Mapping[str, Any], version: int, is_root: bool = False) -> Schema:
    target = schema.get("$ref")
    if target is not None:
        return _reference_with(schema, str(target).removeprefix(_PREFIX), version)
    result: Schema = {}
    for key, value in schema.items():
        if key in _DROPPED or (key == "additionalProperties" and value is False):
            continue
        if key == "type":
            result[key] = _type(value)
        elif key == "properties":
            result[key] = {name: _property(name, child, version, is_root) for name, child in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, Mapping):
            result[key] = _schema(value, version)
        elif key == "enum":
            result[key] = [each for each in value if each is not None]
        else:
            result[key] = value
    return result


def _property(name: str, schema: Mapping[str, Any], version: int, is_root: bool) -> Schema:
    if is_root and name in ("apiVersion", "kind"):
        schema = {key: value for key, value in schema.items() if key != "enum"}
    return _schema(schema, version)


def _reference_with(schema: Mapping[str, Any], name: str, version: int) -> Schema:
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    if version == 2:
        return {**beside, **reference(name, 2)}
    return {**beside, "allOf": [reference(name, 3)]} if beside else reference(name, 3)


def _type(value: Any) -> str:
    if isinstance(value, list):
        return next((str(each) for each in value if each != "null"), "object")
    return str(value)
