"""What a kind's fields are, compiled from the published definitions for walkers that must be quick.

``structure_of(name)`` gives the root of a definition. A ``Structure`` says of one place in a document what may stand there
and how Kubernetes merges it:

* ``shape``: SCALAR, OBJECT (named ``fields``), MAP (any keys, values are ``element``), LIST (of ``element``), ANY (opaque,
  replaced whole), DEDUCED (opaque, but merged by what it turns out to be: preserve-unknown-fields of custom resources).
* ``atomic``: written and owned as one value (server-side apply). True for lists that are neither sets nor maps.
* ``keys`` and ``key_defaults``: what identifies an item of a list of type ``map``; empty for sets.
* ``merge_key``, ``merge``, ``replace`` and ``retain_keys``: the strategic merge patch's view, which differs for some lists.

Source: structured-merge-diff's schema conversion (list-type and map-type first, patch strategy where they are missing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moorage.resources.schemas import definition

SCALAR: Final = "scalar"
OBJECT: Final = "object"
MAP: Final = "map"
LIST: Final = "list"
ANY: Final = "any"
DEDUCED: Final = "deduced"

# Defaults of list-map keys. The published set leaves defaults out; these are the only keys that have one in v1.36.
_KEY_DEFAULTS: Final[Mapping[str, str]] = {"protocol": "TCP"}

# Fields that exist even in an empty object (Go: a struct, not a pointer; no omitempty), so nobody owns their bare existence.
_ALWAYS: Final = frozenset(
    {"metadata", "spec", "status", "template", "strategy", "updateStrategy", "jobTemplate", "containers"}
)


class Structure:
    """One place in a document. Immutable once built."""

    __slots__ = (
        "always",
        "atomic",
        "element",
        "fields",
        "key_defaults",
        "keys",
        "merge",
        "merge_key",
        "replace",
        "retain_keys",
        "shape",
        "type_name",
    )

    def __init__(self, shape: str) -> None:
        self.shape = shape
        self.type_name = ""
        self.fields: dict[str, Structure] = {}
        self.element: Structure | None = None
        self.atomic = shape in (ANY, SCALAR)
        self.keys: tuple[str, ...] = ()
        self.key_defaults: Mapping[str, str] = {}
        self.merge_key = ""
        self.merge = False
        self.replace = False
        self.retain_keys = False
        self.always = False

    def child(self, key: str) -> Structure:
        """What stands under ``key`` of an object or map; ANY where nothing is known of it."""
        found = self.fields.get(key)
        if found is not None:
            return found
        if self.shape == DEDUCED:
            return self
        return self.element or ANYTHING

    def __repr__(self) -> str:
        return f"<Structure {self.shape} {self.type_name or '-'}>"


ANYTHING: Final = Structure(ANY)
"""Opaque: a value that no definition describes."""
DEDUCED_VALUE: Final = Structure(DEDUCED)
"""Undescribed, but merged by what it is."""


_built: dict[str, tuple[Mapping[str, Any], Structure]] = {}


def structure_of(name: str) -> Structure:
    """The structure of the definition ``name`` (``io.k8s.api.core.v1.Pod``). Raises KeyError where there is none.

    Built once, and again where the definition was replaced (custom kinds change at run time).
    """
    schema = definition(name)
    known = _built.get(name)
    if known is None or known[0] is not schema:
        known = _built[name] = (schema, _Builder().named(name))
    return known[1]


class _Builder:
    """Builds a tree with loops: a definition that is met again is the same node."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, tuple[tuple[str, str], ...], bool], Structure] = {}

    def named(self, name: str, extensions: Mapping[str, Any] | None = None, always: bool = False) -> Structure:
        extras = extensions or {}
        memo = (name, tuple(sorted((key, str(value)) for key, value in extras.items())), always)
        known = self._seen.get(memo)
        if known is not None:
            return known
        schema = definition(name)
        node = Structure(_shape(schema, name))
        self._seen[memo] = node
        node.type_name = name
        node.always = always and node.shape in (OBJECT, LIST)
        self._fill(node, schema, {**schema, **extras})
        return node

    def build(self, schema: Mapping[str, Any], extras: Mapping[str, Any], always: bool = False) -> Structure:
        reference = schema.get("$ref") or _only_all_of(schema)
        if reference:
            name = str(reference).rsplit("/", 1)[-1]
            own = {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
            return self.named(name, {**own, **extras}, always)
        node = Structure(_shape(schema, ""))
        node.always = always and node.shape in (OBJECT, LIST)
        self._fill(node, schema, {**schema, **extras})
        return node

    def _fill(self, node: Structure, schema: Mapping[str, Any], extensions: Mapping[str, Any]) -> None:
        _merge_rules(node, extensions)
        if node.shape == OBJECT:
            node.atomic = extensions.get("x-kubernetes-map-type") == "atomic"
            for key, value in schema["properties"].items():
                node.fields[key] = self.build(value, {}, key in _ALWAYS)
            extra = schema.get("additionalProperties")
            if isinstance(extra, dict):
                node.element = self.build(extra, {})
            elif schema.get("x-kubernetes-preserve-unknown-fields"):
                node.element = DEDUCED_VALUE
        elif node.shape == MAP:
            node.atomic = extensions.get("x-kubernetes-map-type") == "atomic"
            node.element = self.build(schema["additionalProperties"], {})
        elif node.shape == LIST:
            node.element = self.build(schema.get("items") or {}, {})
            _list_rules(node, extensions)


def _only_all_of(schema: Mapping[str, Any]) -> str | None:
    """``allOf: [{$ref}]``: how OpenAPI v3 puts a description beside a reference."""
    parts = schema.get("allOf")
    return parts[0].get("$ref") if parts and len(parts) == 1 and "properties" not in schema else None


def _shape(schema: Mapping[str, Any], name: str) -> str:
    if name == "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1":
        return ANY
    kinds = schema.get("type", ())
    kind = kinds if isinstance(kinds, str) else next((each for each in kinds if each != "null"), "")
    if "properties" in schema:
        return OBJECT
    if kind == "object":
        if isinstance(schema.get("additionalProperties"), dict):
            return MAP
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return DEDUCED
        return ANY
    if kind == "array":
        return LIST
    if kind or "oneOf" in schema or schema.get("x-kubernetes-int-or-string"):
        return SCALAR
    return DEDUCED if schema.get("x-kubernetes-preserve-unknown-fields") else ANY


def _merge_rules(node: Structure, extensions: Mapping[str, Any]) -> None:
    strategies = str(extensions.get("x-kubernetes-patch-strategy", "")).split(",")
    node.merge = "merge" in strategies
    node.replace = "replace" in strategies
    node.retain_keys = "retainKeys" in strategies
    node.merge_key = str(extensions.get("x-kubernetes-patch-merge-key", ""))


def _list_rules(node: Structure, extensions: Mapping[str, Any]) -> None:
    list_type = extensions.get("x-kubernetes-list-type")
    if list_type == "map":
        node.keys = tuple(extensions.get("x-kubernetes-list-map-keys", ()))
    elif list_type is None and node.merge and node.merge_key:
        node.keys = (node.merge_key,)
    node.atomic = list_type == "atomic" or (list_type is None and not node.merge)
    element = node.element
    fields = element.fields if element is not None else {}
    node.key_defaults = {key: _KEY_DEFAULTS[key] for key in node.keys if key in _KEY_DEFAULTS and key in fields}
