"""Field sets of documents: what one mentions, and how two differ.

* ``mentioned(document, structure)``: the set that an applied configuration claims (structured-merge-diff's ToFieldSet).
* ``created(document, structure)``: every field of a new object, in one pass.
* ``compare(old, new, structure)`` -> ``Comparison(added, modified, removed)``.
* ``with_named(fields, structure)``: the set, with the named fields on the way to its members as members.

``apiVersion``, ``kind`` and what the system writes into metadata are nobody's fields and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from moorage.api.apply.elements import BadItem, item_element
from moorage.api.apply.fieldsets import SELF, FieldSet, element_text
from moorage.api.structure import ANYTHING, LIST, Structure

UNOWNED: Final = frozenset({"apiVersion", "kind"})
UNOWNED_METADATA: Final = frozenset(
    {
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    }
)

_MISSING: Final = object()


def owned_part(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what nobody owns. Shares everything else with it."""
    part = {key: value for key, value in document.items() if key not in UNOWNED}
    metadata = part.get("metadata")
    if isinstance(metadata, dict):
        part["metadata"] = {key: value for key, value in metadata.items() if key not in UNOWNED_METADATA}
    return part


def mentioned(document: dict[str, Any], structure: Structure, strict: bool = True) -> FieldSet:
    """The fields that ``document`` mentions.

    ``strict``: raises BadItem, with the path, for a list item that has no identity or occurs twice; else those are
    members as a whole.
    """
    found = _mentioned(owned_part(document), structure, "", strict)
    if found.get("f:metadata") == {}:
        del found["f:metadata"]
    return found


def _mentioned(value: Any, structure: Structure, path: str, strict: bool) -> FieldSet:
    if structure.atomic or value is None:
        return {}
    if isinstance(value, dict):
        return _mentioned_fields(value, structure, path, strict)
    if isinstance(value, list) and structure.shape == LIST:
        return _mentioned_items(value, structure, path, strict)
    return {}


def _mentioned_fields(value: dict[str, Any], structure: Structure, path: str, strict: bool) -> FieldSet:
    result: FieldSet = {}
    for key, child in value.items():
        field = structure.child(key)
        below = _mentioned(child, field, f"{path}.{key}", strict)
        if below:
            result[f"f:{key}"] = below if key in structure.fields else {SELF: {}, **below}
        elif not isinstance(child, list) or field.atomic or key not in structure.fields:
            result[f"f:{key}"] = {}
    return result


def _mentioned_items(items: list[Any], structure: Structure, path: str, strict: bool) -> FieldSet:
    result: FieldSet = {}
    element = structure.element or ANYTHING
    for index, item in enumerate(items):
        try:
            key = item_element(item, structure)
        except BadItem as error:
            if strict:
                raise BadItem(f"{path}: element {index}: {error}") from error
            continue
        if key in result:
            if strict:
                raise BadItem(f"{path}: duplicate entries for key {element_text(key)}")
            result[key] = {}
            continue
        below = _mentioned(item, element, f"{path}[{index}]", strict)
        result[key] = {SELF: {}, **below} if below else {}
    return result


def created(document: dict[str, Any], structure: Structure) -> FieldSet:
    """Every field of a new object."""
    result: FieldSet = {}
    for key, value in document.items():
        if key in UNOWNED:
            continue
        field = structure.child(key)
        if key == "metadata" and isinstance(value, dict):
            below = _created_metadata(value, field)
        elif field.always and isinstance(value, dict | list):
            below = _created_parts(value, field)
        else:
            result[f"f:{key}"] = _created_whole(value, field)
            continue
        if below:
            result[f"f:{key}"] = below
    return result


def _created_metadata(value: dict[str, Any], structure: Structure) -> FieldSet:
    return {
        f"f:{key}": _created_whole(child, structure.child(key))
        for key, child in value.items()
        if key not in UNOWNED_METADATA
    }


def _created_parts(value: Any, structure: Structure) -> FieldSet:
    """The fields below something that every object has, so that its existence is nobody's."""
    result: FieldSet = {}
    if isinstance(value, dict):
        fields = structure.fields
        for key, child in value.items():
            if not isinstance(child, dict | list):
                result[f"f:{key}"] = {}
                continue
            field = fields.get(key) or structure.child(key)
            if not field.always:
                result[f"f:{key}"] = _created_whole(child, field)
            elif below := _created_parts(child, field):
                result[f"f:{key}"] = below
    else:
        element = structure.element or ANYTHING
        for item in value:
            result[_loose_element(item, structure)] = _created_whole(item, element)
    return result


def _created_whole(value: Any, structure: Structure) -> FieldSet:
    """Every field of something that is new itself, so that every level is a member."""
    if structure.atomic or not value:
        return {}
    if isinstance(value, dict):
        result: FieldSet = {SELF: {}}
        fields = structure.fields
        for key, child in value.items():
            if isinstance(child, dict | list):
                result[f"f:{key}"] = _created_whole(child, fields.get(key) or structure.child(key))
            else:
                result[f"f:{key}"] = {}
        return result
    element = structure.element
    if structure.shape != LIST or element is None or not isinstance(value, list):
        return {}
    result = {SELF: {}}
    for item in value:
        key = _loose_element(item, structure)
        result[key] = {} if key in result or not isinstance(item, dict) else _created_whole(item, element)
    return result


@dataclass(slots=True)
class Comparison:
    """How two documents differ. No member is in two of the sets."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.modified or self.removed)


def compare(old: dict[str, Any], new: dict[str, Any], structure: Structure) -> Comparison:
    """What became of ``old`` on the way to ``new``; what nobody owns is not looked at."""
    result = Comparison({}, {}, {})
    _compare_fields(owned_part(old), owned_part(new), structure, result)
    return result


def _compare(old: Any, new: Any, structure: Structure) -> Comparison | None:
    """The differences below a field that both have; None where there are none, or where the field differs as a whole."""
    if structure.atomic:
        return None
    result = Comparison({}, {}, {})
    if isinstance(old, dict) and isinstance(new, dict) and (old or new):
        _compare_fields(old, new, structure, result)
    elif isinstance(old, list) and isinstance(new, list) and structure.shape == LIST and (old or new):
        _compare_items(old, new, structure, result)
    else:
        return None
    return result


def _compare_fields(old: dict[str, Any], new: dict[str, Any], structure: Structure, result: Comparison) -> None:
    for key, after in new.items():
        before = old.get(key, _MISSING)
        if before is after or before == after:
            continue
        field = structure.child(key)
        if before is _MISSING:
            if not field.always or not isinstance(after, dict | list):
                result.added[f"f:{key}"] = _created_whole(after, field)
                continue
            before = {} if isinstance(after, dict) else []
        _note(f"f:{key}", before, after, field, result)
    for key, before in old.items():
        if key not in new:
            field = structure.child(key)
            if field.always and isinstance(before, dict | list):
                _note(f"f:{key}", before, {} if isinstance(before, dict) else [], field, result)
            else:
                result.removed[f"f:{key}"] = _created_whole(before, field)


def _compare_items(old: list[Any], new: list[Any], structure: Structure, result: Comparison) -> None:
    element = structure.element
    assert element is not None
    before = _indexed(old, structure)
    after = _indexed(new, structure)
    for key, items in after.items():
        previous = before.get(key)
        if previous is None:
            result.added[key] = _created_whole(items[0], element) if len(items) == 1 else {}
        elif previous != items:
            if len(previous) == len(items) == 1:
                _note(key, previous[0], items[0], element, result)
            else:
                result.modified[key] = {}
    for key, items in before.items():
        if key not in after:
            result.removed[key] = _created_whole(items[0], element) if len(items) == 1 else {}


def _note(key: str, before: Any, after: Any, structure: Structure, result: Comparison) -> None:
    inner = _compare(before, after, structure)
    if inner is None:
        result.modified[key] = {}
        return
    if inner.added:
        result.added[key] = inner.added
    if inner.modified:
        result.modified[key] = inner.modified
    if inner.removed:
        result.removed[key] = inner.removed


def _indexed(items: list[Any], structure: Structure) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for item in items:
        result.setdefault(_loose_element(item, structure), []).append(item)
    return result


def _loose_element(item: Any, structure: Structure) -> str:
    """The element of an item of a stored list; items without identity are one element together."""
    try:
        return item_element(item, structure)
    except BadItem:
        return "k:{}"


def with_named(fields: FieldSet, structure: Structure) -> FieldSet:
    """``fields``, with each named field that has members below it as a member too."""
    result: FieldSet = {}
    for key, value in fields.items():
        if key == SELF or not value:
            result[key] = value
            continue
        name = key[2:] if key.startswith("f:") else None
        child = structure.child(name) if name is not None else (structure.element or structure)
        below = with_named(value, child)
        if name is not None and name in structure.fields and SELF not in below:
            below = {SELF: {}, **below}
        result[key] = below
    return result
