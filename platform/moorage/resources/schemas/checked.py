"""The fast answer to "is this document already as Kubernetes would store it?": a JSON Schema, compiled in Rust.

The schema is narrower than the published one: no nulls, no unknown fields, no empty lists or maps, canonical times, and only
quantities that are canonical at first sight. What it accepts needs no walk; what it refuses is walked, and the walk decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moorage.resources.schemas import definitions as schema_set
from moorage.resources.schemas.definitions import Definitions, Node

_DAY = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_SECOND = rf"^\d{{4}}-{_DAY}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

_SPECIAL: Mapping[str, Node] = {
    schema_set.QUANTITY: {"type": "string", "pattern": "^(?:0|[1-9][0-9]{0,2}(?:m|k|M|G|T|Ki|Mi|Gi|Ti)?)$"},
    schema_set.INT_OR_STRING: {"type": ["string", "integer"], "minimum": -(2**31), "maximum": 2**31 - 1},
    schema_set.TIME: {"type": "string", "pattern": f"{_SECOND}Z$"},
    schema_set.MICRO_TIME: {"type": "string", "pattern": rf"{_SECOND}\.\d{{6}}Z$"},
}


def narrow(name: str, node: Node) -> Node:
    """The narrow schema of the definition ``name``."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    if name in schema_set.FREE_FORM or "type" not in node:
        return {}
    return {
        "type": "object",
        "properties": {key: _narrow(child) for key, child in node.get("properties", {}).items()},
        "additionalProperties": False,
    }


def _narrow(node: Node) -> Node:
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    kinds = node.get("type")
    kind = next((name for name in kinds if name != "null"), None) if isinstance(kinds, list) else kinds
    if kind == "array":
        return {"type": "array", "items": _narrow(node["items"]), "minItems": 1}
    if kind == "object":
        values = node.get("additionalProperties")
        if not isinstance(values, Mapping):
            return {}
        return {"type": "object", "additionalProperties": _narrow(values), "minProperties": 1}
    if kind == "integer":
        limit = 2**31 if node.get("format") == "int32" else 2**63
        return {"type": "integer", "minimum": -limit, "maximum": limit - 1}
    if kind == "string" and node.get("format") == "byte":
        return {"type": "string", "pattern": _BASE64}
    return {"type": kind} if kind else {}


def compile_check(definitions: Definitions, name: str) -> Callable[[Any], bool]:
    """A function that says whether a document needs no walk. Takes milliseconds to make; the function, about a microsecond."""
    import jsonschema_rs  # only servers check documents; clients read the helpers beside this without the extra

    definitions.load([name])
    names = schema_set.reachable(_Closed(definitions), [name])
    schema = {
        "$ref": f"{schema_set.PREFIX}{name}",
        "$defs": {each: narrow(each, definitions.definition(each)) for each in sorted(names)},
    }
    # Draft 4 is the one whose integers exclude 1.0, as Kubernetes' do.
    check: Callable[[Any], bool] = jsonschema_rs.Draft4Validator(schema, validate_formats=False).is_valid
    return check


class _Closed(dict[str, Any]):
    """Definitions as a mapping, which is what walking references takes."""

    def __init__(self, definitions: Definitions) -> None:
        super().__init__()
        self._definitions = definitions

    def __missing__(self, name: str) -> Any:
        return self._definitions.definition(name)
