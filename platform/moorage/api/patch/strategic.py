"""Kubernetes' strategic merge patch: a merge patch that knows by which key the items of a list are told apart.

Directives: ``$patch: replace|delete|merge``, ``$retainKeys``, ``$deleteFromPrimitiveList/FIELD``, ``$setElementOrder/FIELD``.
Source: "Update API Objects in Place Using kubectl patch", apimachinery's strategicpatch, and the design proposal
"Preserve order in strategic merge patch".
"""

from __future__ import annotations

from typing import Any, Final

from moorage.api.errors import ApiError, bad_request
from moorage.api.json_values import copied, type_name
from moorage.api.patch.order import normalised, partition
from moorage.api.structure import ANYTHING, Structure
from moorage.resources.kind import Document

_PATCH: Final = "$patch"
_RETAIN_KEYS: Final = "$retainKeys"
_DELETE_FROM: Final = "$deleteFromPrimitiveList/"
_ORDER: Final = "$setElementOrder/"

_Map = dict[str, Any]
_List = list[Any]


def strategic_merge_patch(document: Document, patch: Any, structure: Structure) -> Document:
    """``document``, which has ``structure``, with ``patch`` merged in. Raises ApiError 400."""
    if not isinstance(patch, dict):
        raise bad_request(f"json: cannot unmarshal {type_name(patch)} into Go value of type map[string]interface {{}}")
    return _merge_map(copied(document), copied(patch), structure)


def _merge_map(original: _Map, patch: _Map, structure: Structure) -> _Map:
    """Merge into ``original``, which is changed and returned (or replaced)."""
    if _PATCH in patch:
        directive = patch.pop(_PATCH)
        if directive == "replace":
            bare: _Map = _without_directives(patch)
            return bare
        if directive == "delete":
            return {}
        if directive != "merge":
            raise _bad_directive(directive, patch)
    _retain_keys(original, patch)
    _ordered_lists(original, patch, structure)
    for key, value in patch.items():
        deleting = key.startswith(_DELETE_FROM)
        name = key.removeprefix(_DELETE_FROM) if deleting else key
        if value is None:
            original.pop(name, None)
        elif deleting:
            _delete_from(original, name, value)
        else:
            _merge_field(original, name, value, structure.child(name))
    return original


def _merge_field(original: _Map, name: str, value: Any, field: Structure) -> None:
    before = original.get(name)
    if isinstance(before, dict) and isinstance(value, dict):
        original[name] = value if field.replace else _merge_map(before, value, field)
    elif isinstance(before, list) and isinstance(value, list):
        original[name] = _merge_list(before, value, field) if field.merge else value
    else:
        original[name] = _without_nulls(_without_directives(value))


def _retain_keys(original: _Map, patch: _Map) -> None:
    """``$retainKeys``: drop what the list does not name; the patch may hold nothing else."""
    retained = patch.pop(_RETAIN_KEYS, None)
    if retained is None:
        return
    if not isinstance(retained, list):
        raise bad_request("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and not key.startswith((_DELETE_FROM, _ORDER)) and key not in retained:
            raise bad_request("invalid patch format of retainKeys")
    for key in [key for key in original if key not in retained]:
        del original[key]


def _delete_from(original: _Map, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise bad_request("invalid patch format of primitive list")
    before = original.get(name)
    if isinstance(before, list):
        original[name] = [item for item in before if not _in(item, values)]


def _ordered_lists(original: _Map, patch: _Map, structure: Structure) -> None:
    """``$setElementOrder/FIELD``: merge the field's list now, and bring it into the wanted order."""
    for directive in [key for key in patch if key.startswith(_ORDER)]:
        order = patch.pop(directive)
        name = directive.removeprefix(_ORDER)
        field = structure.child(name)
        changes = patch.get(name)
        before = original.get(name)
        if not isinstance(order, list) or not isinstance(changes, list | None) or not isinstance(before, list | None):
            raise bad_request("invalid patch format of setElementOrder list")
        deletions = patch.pop(_DELETE_FROM + name, None)
        if deletions is not None:
            _delete_from(original, name, deletions)
            before = original.get(name)
        _check_order(changes or [], order, field.merge_key)
        if changes is None and before is None:
            continue
        patch.pop(name, None)
        merged = _merge_list(before or [], changes, field) if changes is not None else (before or [])
        named, others = partition(merged, order, field.merge_key)
        original[name] = normalised(named, others, order, before or [], field.merge_key)


def _check_order(changes: _List, order: _List, merge_key: str) -> None:
    """The patch's items must be in the order list, in the same order."""
    position = 0
    for item in changes:
        if isinstance(item, dict) and _PATCH in item:
            continue
        while position < len(order) and _identity(order[position], merge_key) != _identity(item, merge_key):
            position += 1
        if position == len(order) and order:
            raise bad_request("The order in patch list doesn't match $setElementOrder list")
        position += 1


def _merge_list(original: _List, patch: _List, field: Structure) -> _List:
    kinds = {type_name(item) for item in (*original, *patch)}
    if not kinds:
        return original
    if "array" in kinds:
        raise bad_request("lists of lists are not supported")
    if "object" not in kinds:
        both = _unique([*original, *patch])
        named, others = partition(both, patch, "")
        return normalised(named, others, patch, original, "")
    if kinds != {"object"}:
        raise bad_request("list element types are not identical")
    key = field.merge_key
    if not key:
        raise bad_request("cannot merge lists without merge key")
    before, changes = _special_items(original, patch, key)
    merged = _merge_items(list(before), changes, key, field.element or ANYTHING)
    named, others = partition(merged, changes, key)
    return normalised(named, others, changes, before, key)


def _special_items(original: _List, patch: _List, key: str) -> tuple[_List, _List]:
    """Carry out ``$patch`` items. Returns what is left of the original, and of the patch."""
    changes: _List = []
    replace = False
    for item in patch:
        directive = item.get(_PATCH)
        if directive is None:
            changes.append(item)
        elif directive == "delete":
            _identity(item, key)
            original = [each for each in original if not _same(each.get(key), item[key])]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise bad_request("merging lists cannot yet be specified in the patch")
        else:
            raise _bad_directive(directive, item)
    return ([], changes) if replace else (original, changes)


def _merge_items(merged: _List, changes: _List, key: str, element: Structure) -> _List:
    places = {_identity(item, key): index for index, item in reversed(list(enumerate(merged))) if key in item}
    for item in changes:
        identity = _identity(item, key)
        if identity in places:
            index = places[identity]
            merged[index] = _merge_map(merged[index], item, element)
        else:
            places[identity] = len(merged)
            merged.append(_without_nulls(_without_directives(item)))
    return merged


def _identity(item: Any, key: str) -> Any:
    """What tells an item from others: the value under the merge key, or the item itself where there is none."""
    value = item
    if key:
        if not isinstance(item, dict):
            raise bad_request(f"expected a map[string]interface {{}}, but received a {type_name(item)}")
        if key not in item:
            raise bad_request(f"map: {sorted(item)} does not contain declared merge key: {key}")
        value = item[key]
    if isinstance(value, dict | list):
        raise bad_request(f"the merge key {key} must be a scalar, not {type_name(value)}")
    return (isinstance(value, bool), value)


def _same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _in(item: Any, values: _List) -> bool:
    return any(_same(item, value) for value in values)


def _unique(items: _List) -> _List:
    found: _List = []
    for item in items:
        if not _in(item, found):
            found.append(item)
    return found


def _without_directives(value: Any) -> Any:
    """A value that is added whole: what its directives ask to delete is not there to be deleted."""
    if isinstance(value, dict):
        if value.get(_PATCH) == "delete":
            return {}
        return {key: _without_directives(child) for key, child in value.items() if not key.startswith("$")}
    if isinstance(value, list):
        kept = [item for item in value if not (isinstance(item, dict) and item.get(_PATCH) == "delete")]
        bare = [item for item in kept if not (isinstance(item, dict) and set(item) == {_PATCH})]
        return [_without_directives(item) for item in bare]
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _bad_directive(directive: Any, patch: _Map) -> ApiError:
    shown = sorted(key for key in patch if key != _PATCH)
    return bad_request(f"unknown patch type: {directive} in map with fields {shown}")
