"""YAML as kubectl means it: one document to JSON values.

``load_yaml(text, max_nodes=...)`` returns JSON values (dict, list, str, int, float, bool, None) and raises ``YamlError``.

Scalars resolve as in go-yaml v2, which kubectl and kube-apiserver use: YAML 1.1's ``yes``/``on``/``y`` are booleans, ``0777`` is
octal, but ``22:22`` and ``2001-01-01`` are strings. Keys become strings. A key that is given twice is refused. Aliases are
followed up to a budget of nodes, so that a small text cannot become a large document.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 200
MAX_NODES: Final = 100_000
"""Values in a document, aliases followed. The parser takes about 8 us for each, and the largest manifests have 30,000."""
_MERGE: Final = "tag:yaml.org,2002:merge"
_PLAIN: Final = "plain"
_DEFAULT_TAGS: Final[dict[type[yaml.Node], str]] = {
    yaml.ScalarNode: "tag:yaml.org,2002:str",
    yaml.SequenceNode: "tag:yaml.org,2002:seq",
    yaml.MappingNode: "tag:yaml.org,2002:map",
}

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_INTEGER: Final = re.compile(
    r"[-+]?(?:0[bB](?P<bin>[01_]+)|0[xX](?P<hex>[0-9a-fA-F_]+)|0[oO]?(?P<oct>[0-7_]+)|(?P<dec>[1-9][0-9_]*|0))"
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_JSON: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class YamlError(ValueError):
    """What is wrong with a text, with its line where it is known."""


class _Loader(yaml.CSafeLoader):
    """Composes nodes and keeps apart what was written plainly, so that ``plain`` decides what a plain scalar is.

    Stops at ``nodes_left``: a text that is only long would hold the parser for seconds otherwise. Stops at ``depth_left``: the
    parser calls itself for each level, in C, where what is too deep ends the process.
    """

    nodes_left = depth_left = deepest = 0

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: tuple[bool, bool] | bool) -> str:
        """The tag of a node that was given none."""
        if kind is yaml.ScalarNode and isinstance(implicit, tuple) and implicit[0]:
            return _MERGE if value == "<<" else _PLAIN
        return _DEFAULT_TAGS[kind]

    def descend_resolver(self, _parent: yaml.Node | None, _index: object) -> None:
        """A node begins, whatever its tag."""
        self.nodes_left -= 1
        self.depth_left -= 1
        if self.nodes_left < 0:
            raise YamlError("yaml: the document has too many values")
        if self.depth_left < 0:
            raise YamlError(f"yaml: exceeded max depth of {self.deepest}")

    def ascend_resolver(self) -> None:
        """A node ends."""
        self.depth_left += 1


def load_yaml(text: bytes | str, *, max_nodes: int = MAX_NODES, max_depth: int = MAX_DEPTH) -> Any:
    """The single document of ``text``; None for an empty one. Raises YamlError."""
    loader = None
    try:
        loader = _Loader(text)
        loader.nodes_left = max_nodes
        loader.deepest, loader.depth_left = max_depth, max_depth + 1
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"yaml: {_where(error.problem_mark)}{error.problem or error.context}") from error
    except YamlError:
        raise
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        # The parser's own words quote the input, which may be a secret.
        raise YamlError("yaml: the text is not valid UTF-8 or holds control characters") from error
    except RecursionError as error:
        raise YamlError(f"yaml: exceeded max depth of {max_depth}") from error
    finally:
        if loader is not None:
            loader.dispose()
    return None if node is None else _Construction(max_nodes, max_depth).value(node, 0)


class _Construction:
    """Turns nodes into values and counts them, aliases included."""

    def __init__(self, max_nodes: int, max_depth: int) -> None:
        self._left = max_nodes
        self._depth = max_depth

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise YamlError("yaml: document contains excessive aliasing")
        if depth > self._depth:
            raise YamlError(f"yaml: {_where(node.start_mark)}exceeded max depth of {self._depth}")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        return self._mapping(node, depth)

    def _mapping(self, node: yaml.Node, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for part in self._merge_parts(value_node, depth):
                    for key, value in part.items():
                        merged.setdefault(key, value)
                continue
            key = _key(key_node)
            if key in result:
                raise YamlError(f'yaml: {_where(key_node.start_mark)}key "{key}" already set in map')
            result[key] = self.value(value_node, depth + 1)
        return {**merged, **result} if merged else result

    def _merge_parts(self, node: yaml.Node, depth: int) -> list[dict[str, Any]]:
        value = self.value(node, depth + 1)
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            raise YamlError(f"yaml: {_where(node.start_mark)}map merge requires map or sequence of maps as the value")
        return parts


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}: " if mark is not None else ""


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.tag == _PLAIN:
        return plain(text, node.start_mark)
    tag = node.tag.removeprefix("tag:yaml.org,2002:")
    if tag in ("str", "timestamp"):
        return text
    if tag in ("null", "bool", "int"):
        return plain(text, node.start_mark)
    if tag == "float":
        value = plain(text, node.start_mark)
        return float(value) if isinstance(value, int) else value
    if tag == "binary":
        raise YamlError(f"yaml: {_where(node.start_mark)}the tag !!binary has no JSON form; write the base64 text")
    raise YamlError(f"yaml: {_where(node.start_mark)}unknown tag {node.tag}")


def plain(text: str, mark: Any = None) -> Any:
    """The value of a plain (unquoted) scalar. Raises YamlError for infinities and not-a-number, which JSON lacks."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if not text or text[0] not in "+-.0123456789":
        return text
    match = _INTEGER.fullmatch(text)
    if match:
        sign = -1 if text[0] == "-" else 1
        for name, base in (("bin", 2), ("hex", 16), ("oct", 8), ("dec", 10)):
            digits = (match.group(name) or "").replace("_", "")
            if digits:
                return _in_range(sign * int(digits, base), text)
        return text
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_JSON.fullmatch(text):
        raise YamlError(f"yaml: {_where(mark)}json: unsupported value: {text}")
    return text


def _in_range(number: int, text: str) -> int | float:
    """An integer as far as 64 bits go; past that a float, as in go-yaml."""
    return number if -(2**63) <= number < 2**64 else float(text.replace("_", ""))


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise YamlError(f"yaml: {_where(node.start_mark)}invalid map key: a key must be a scalar")
    value = _scalar(node)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
