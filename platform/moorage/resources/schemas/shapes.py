"""How definitions of our own are written down: one function for each shape, in the form of the published set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def text(description: str) -> Schema:
    """A string."""
    return {"type": "string", "description": description}


def flag(description: str) -> Schema:
    """A boolean."""
    return {"type": "boolean", "description": description}


def integer(description: str, width: str = "int32") -> Schema:
    """A whole number."""
    return {"type": "integer", "format": width, "description": description}


def reference(name: str, description: str) -> Schema:
    """What the definition ``name`` says, described anew."""
    return {"$ref": f"#/$defs/{name}", "description": description}


def texts(description: str) -> Schema:
    """A list of strings that is replaced as a whole."""
    return {
        "type": "array",
        "items": {"type": "string"},
        "description": description,
        "x-kubernetes-list-type": "atomic",
    }


def text_map(description: str) -> Schema:
    """A map of strings (labels, selectors)."""
    return {"type": "object", "additionalProperties": {"type": "string"}, "description": description}


def quantities(description: str) -> Schema:
    """A map of quantities by resource (a ResourceList)."""
    return {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{QUANTITY}"}, "description": description}


def array(item: str, description: str, *keys: str) -> Schema:
    """A list of ``item``: merged by ``keys`` where there are any, else replaced as a whole."""
    schema: Schema = {"type": "array", "items": {"$ref": f"#/$defs/{item}"}, "description": description}
    if keys:
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    else:
        schema["x-kubernetes-list-type"] = "atomic"
    return schema


def structure(description: str, properties: Mapping[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    """An object with these fields and no others."""
    schema: Schema = {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "additionalProperties": False,
    }
    if required:
        schema["required"] = list(required)
    return schema


def kind(group: str, kind: str, description: str, properties: Mapping[str, Schema], *, version: str = "v1") -> Schema:
    """A kind: its fields beside apiVersion, kind and metadata."""
    top = {
        "apiVersion": text("The group and version of this document."),
        "kind": text("The kind of this document."),
        "metadata": reference(f"{META}.ObjectMeta", "Standard object's metadata."),
        **properties,
    }
    schema = structure(description, top)
    schema["x-kubernetes-group-version-kind"] = [{"group": group, "version": version, "kind": kind}]
    return schema


def kind_list(group: str, kind: str, item: str, *, version: str = "v1") -> Schema:
    """The list of a kind."""
    schema = structure(
        f"A list of {kind} objects.",
        {
            "apiVersion": text("The group and version of this document."),
            "kind": text("The kind of this document."),
            "metadata": reference(f"{META}.ListMeta", "Standard list metadata."),
            "items": array(item, f"The {kind} objects."),
        },
        ("items",),
    )
    schema["x-kubernetes-group-version-kind"] = [{"group": group, "version": version, "kind": f"{kind}List"}]
    return schema
