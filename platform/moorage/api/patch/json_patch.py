"""JSON patch (RFC 6902) over JSON pointers (RFC 6901).

As in Kubernetes, a negative index counts from an array's end, a failed operation is a 422, and nothing is changed by a patch of
which any operation fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from moorage.api.errors import ApiError, bad_request
from moorage.api.json_values import copied, equal, type_name
from moorage.resources.kind import Document

MAX_OPERATIONS: Final = 10_000
MAX_COPIED: Final = 3 * 1024 * 1024
"""Bytes that all ``copy`` operations of a patch may add."""

_MISSING: Final = object()
_AFTER_LAST: Final = "-"
"""RFC 6901: the element after an array's last."""


class _Failed(Exception):
    """An operation that cannot be done; the text says why."""


def json_patch(document: Document, patch: Any) -> Document:
    """``document`` with every operation of ``patch`` done in order.

    Raises ApiError: 400 for what is no patch, 413 for too many operations or copies, 422 for an operation that fails.
    """
    operations = _checked(patch)
    state = _State(copied(document))
    for operation in operations:
        try:
            _OPERATIONS[operation["op"]](state, operation)
        except _Failed as error:
            raise _unprocessable(str(error)) from error
    if not isinstance(state.root, dict):
        raise bad_request(f"the patch leaves {type_name(state.root)} where an object must be")
    return state.root


def _checked(patch: Any) -> list[dict[str, Any]]:
    if not isinstance(patch, list):
        raise bad_request(f"json: cannot unmarshal {type_name(patch)} into Go value of type jsonpatch.Patch")
    if len(patch) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
        raise ApiError(413, message)
    for index, operation in enumerate(patch):
        if not isinstance(operation, dict):
            raise bad_request(f"operation {index} of the JSON patch must be an object, not {type_name(operation)}")
        if operation.get("op") not in _OPERATIONS:
            raise _unprocessable(f"Unexpected kind: {operation.get('op')}")
        for member in ("path", "from"):
            needed = member == "path" or operation["op"] in ("move", "copy")
            if needed and not isinstance(operation.get(member), str):
                raise _unprocessable(f"operation {index} of the JSON patch must have a string {member}")
        if operation["op"] in ("add", "replace") and "value" not in operation:
            raise _unprocessable(f"operation {index} of the JSON patch must have a value")
    return patch


def _unprocessable(detail: str) -> ApiError:
    # No causes: kubectl would print them in place of the message, as if a field of the object were wrong.
    return ApiError(422, f"the server rejected our request due to an error in our request: {detail}")


class _State:
    """The document while it is changed."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.copied = 0

    def parent(self, path: str, doing: str) -> tuple[Any, str]:
        """The container that ``path`` ends in, and the last token."""
        tokens = _tokens(path)
        node = self.root
        for token in tokens[:-1]:
            node = _child(node, token)
            if not isinstance(node, dict | list):
                raise _Failed(f'{doing} operation does not apply: doc is missing path: "{path}": missing value')
        return node, tokens[-1]

    def get(self, path: str) -> Any:
        """The value at ``path``, or _MISSING."""
        node = self.root
        for token in _tokens(path):
            node = _child(node, token)
        return node


def _tokens(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise _Failed(f'invalid JSON pointer "{path}": it must start with /')
    return [token.replace("~1", "/").replace("~0", "~") for token in path[1:].split("/")]


def _child(node: Any, token: str) -> Any:
    if isinstance(node, dict):
        return node.get(token, _MISSING)
    if isinstance(node, list):
        try:
            return node[_index(token, len(node) - 1)]
        except _Failed:
            return _MISSING
    return _MISSING


def _index(token: str, last: int) -> int:
    """The index that ``token`` names; ``last`` is the highest allowed one. Negative ones count from the end."""
    digits = token.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or (len(digits) > 1 and digits[0] == "0") or len(digits) > 9:
        raise _Failed(f'"{token}" is no array index')
    index = int(token)
    if index < 0:
        index += last + 1
    if not 0 <= index <= last:
        raise _Failed(f"Unable to access invalid index: {token}: invalid index referenced")
    return index


def _add(state: _State, operation: dict[str, Any]) -> None:
    _insert(state, operation["path"], copied(operation["value"]), "add")


def _insert(state: _State, path: str, value: Any, doing: str) -> None:
    if path == "":
        state.root = value
        return
    node, token = state.parent(path, doing)
    if isinstance(node, dict):
        node[token] = value
    elif token == _AFTER_LAST:
        node.append(value)
    else:
        node.insert(_index(token, len(node)), value)


def _remove(state: _State, operation: dict[str, Any]) -> None:
    _take(state, operation["path"], "remove")


def _take(state: _State, path: str, doing: str) -> Any:
    if path == "":
        raise _Failed(f"{doing} operation does not apply: the whole document cannot be removed")
    node, token = state.parent(path, doing)
    if isinstance(node, dict):
        if token not in node:
            raise _Failed(f"{doing} operation does not apply: Unable to remove nonexistent key: {token}: missing value")
        return node.pop(token)
    return node.pop(_index(token, len(node) - 1))


def _replace(state: _State, operation: dict[str, Any]) -> None:
    path, value = operation["path"], copied(operation["value"])
    if path == "":
        state.root = value
        return
    node, token = state.parent(path, "replace")
    if isinstance(node, dict):
        if token not in node:
            raise _Failed(f"replace operation does not apply: doc is missing key: {path}: missing value")
        node[token] = value
    else:
        node[_index(token, len(node) - 1)] = value


def _move(state: _State, operation: dict[str, Any]) -> None:
    source, target = operation["from"], operation["path"]
    if target.startswith(source + "/"):
        raise _Failed(f'move operation does not apply: "{source}" cannot be moved into itself')
    if source == target:
        if state.get(source) is _MISSING:
            raise _Failed(f'move operation does not apply: doc is missing from path: "{source}": missing value')
        return
    _insert(state, target, _take(state, source, "move"), "move")


def _copy(state: _State, operation: dict[str, Any]) -> None:
    value = state.get(operation["from"])
    if value is _MISSING:
        raise _Failed(f'copy operation does not apply: doc is missing from path: "{operation["from"]}": missing value')
    state.copied += len(orjson.dumps(value))
    if state.copied > MAX_COPIED:
        message = "Unable to complete the copy, the accumulated size increase of the patch document is"
        raise ApiError(413, f"{message} {state.copied}, exceeding the limit {MAX_COPIED}")
    _insert(state, operation["path"], copied(value), "copy")


def _test(state: _State, operation: dict[str, Any]) -> None:
    path = operation["path"]
    value = state.get(path)
    wanted = operation.get("value")
    # A missing value passes a test for null, as in Kubernetes' library.
    if not equal(None if value is _MISSING else value, wanted):
        raise _Failed(f"testing value {path} failed: test failed")


_OPERATIONS: Final[dict[Any, Callable[[_State, dict[str, Any]], None]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
