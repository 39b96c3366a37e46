"""Plain Secrets in manifests: YAML and JSON, many documents, lists, Kustomize generators, and templates that do not parse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

SUFFIXES = (".yaml", ".yml", ".json", ".tpl")
_DEPTH = 12
_PLACEHOLDER = re.compile(r"\{\{.*\}\}|\$\{[^}]*\}|\$\([^)]*\)|<[^>]*>|ENC\[.*\]", re.DOTALL)
_KIND = re.compile(r"^\s*[\"']?kind[\"']?:\s*[\"']?Secret[\"']?\s*,?\s*$", re.MULTILINE)
_BLOCK = re.compile(r"^(?P<indent>[ ]*)(?:data|stringData):\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^(?P<indent>[ ]+)[\"']?(?P<key>[-._a-zA-Z0-9]+)[\"']?:[ ]*(?P<value>\S.*)$")


class _Loader(yaml.CSafeLoader):
    """Bounded in depth: the parser calls itself for each level, in C, where what is too deep ends the process."""

    left = 200

    def descend_resolver(self, _parent: yaml.Node | None, _index: object) -> None:
        """A node begins."""
        self.left -= 1
        if self.left < 0:
            raise yaml.YAMLError("nested too deep")

    def ascend_resolver(self) -> None:
        """A node ends."""
        self.left += 1


@dataclass(frozen=True, slots=True)
class PlainSecret:
    """A Secret (or a generator of one) whose values can be read. ``line`` is that of its first value, from 1."""

    line: int
    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]


def plain_secrets(content: bytes) -> list[PlainSecret]:
    """Every plain Secret of a file. Values that stand for others (``{{ ... }}``, ``${...}``, SOPS) are none."""
    if b"Secret" not in content and b"secretGenerator" not in content:
        return []
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    if text.lstrip().startswith(("{", "[")):
        try:
            return list(_of_value(json.loads(text), text))
        except (ValueError, RecursionError):
            pass
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return list(_of_template(text))
    seen: set[int] = set()
    return [found for node in nodes for found in _of_node(node, 0, seen)]


def sealed_values(content: bytes) -> list[str]:
    """Every value of a SealedSecret: random-looking, and meant to be committed."""
    if b"encryptedData" not in content:
        return []
    try:
        nodes = list(yaml.compose_all(content.decode("utf-8", "replace"), Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return []
    seen: set[int] = set()
    return [value for node in nodes for value in _sealed(node, 0, seen)]


def _sealed(node: Any, depth: int, seen: set[int]) -> Iterator[str]:
    if depth > _DEPTH or not isinstance(node, yaml.MappingNode) or id(node) in seen:
        return
    seen.add(id(node))
    fields = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    spec = fields.get("spec")
    if _scalar(fields.get("kind")) == "SealedSecret" and isinstance(spec, yaml.MappingNode):
        parts = {key.value: value for key, value in spec.value if isinstance(key, yaml.ScalarNode)}
        yield from (value.value for _, value in _pairs(parts.get("encryptedData")))
    items = fields.get("items")
    if isinstance(items, yaml.SequenceNode):
        for item in items.value:
            yield from _sealed(item, depth + 1, seen)


def _of_node(node: Any, depth: int, seen: set[int]) -> Iterator[PlainSecret]:
    """``seen``: nodes that were looked at. Aliases are the same nodes again, and aliases of aliases a great many."""
    if depth > _DEPTH or not isinstance(node, yaml.MappingNode) or id(node) in seen:
        return
    seen.add(id(node))
    fields = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    if "sops" in fields:
        return
    kind = _scalar(fields.get("kind"))
    if kind == "Secret":
        pairs = [pair for part in ("data", "stringData") for pair in _pairs(fields.get(part))]
        shown = [(key, value) for key, value in pairs if _is_plain(value.value)]
        if shown:
            name = _name(fields.get("metadata"))
            yield _plain(shown[0][1].start_mark.line + 1, name, [(key, value.value) for key, value in shown])
    elif kind == "Kustomization" or "secretGenerator" in fields:
        yield from _generators(fields.get("secretGenerator"))
    items = fields.get("items")
    if isinstance(items, yaml.SequenceNode):
        for item in items.value:
            yield from _of_node(item, depth + 1, seen)


def _generators(node: Any) -> Iterator[PlainSecret]:
    """Kustomize's ``secretGenerator``: literals are ``KEY=VALUE``."""
    for generator in node.value if isinstance(node, yaml.SequenceNode) else ():
        fields = {key.value: value for key, value in generator.value} if isinstance(generator, yaml.MappingNode) else {}
        literals = fields.get("literals")
        entries = literals.value if isinstance(literals, yaml.SequenceNode) else ()
        pairs = [(entry, *_scalar(entry).partition("=")[::2]) for entry in entries]
        shown = [(entry, key, value) for entry, key, value in pairs if _is_plain(value)]
        if shown:
            yield _plain(
                shown[0][0].start_mark.line + 1, _scalar(fields.get("name")), [(key, value) for _, key, value in shown]
            )


def _of_value(value: Any, text: str, depth: int = 0) -> Iterator[PlainSecret]:
    """The same over decoded JSON, which has no lines: the one of the first value's key is looked for."""
    if isinstance(value, list):
        for item in value:
            yield from _of_value(item, text, depth + 1)
        return
    if not isinstance(value, dict) or depth > _DEPTH or "sops" in value:
        return
    if value.get("kind") == "Secret":
        parts: list[Mapping[str, Any]] = [
            value[part] for part in ("data", "stringData") if isinstance(value.get(part), dict)
        ]
        shown = [
            (key, item) for part in parts for key, item in part.items() if isinstance(item, str) and _is_plain(item)
        ]
        if shown:
            metadata = value.get("metadata")
            name = metadata.get("name") if isinstance(metadata, dict) else ""
            yield _plain(text[: text.find(json.dumps(shown[0][0]))].count("\n") + 1, str(name or ""), shown)
    items = value.get("items")
    if isinstance(items, list):
        yield from _of_value(items, text, depth + 1)


def _of_template(text: str) -> Iterator[PlainSecret]:
    """Documents that are no YAML, as templates are: literal values below ``data`` of what calls itself a Secret."""
    line = 0
    for part in re.split(r"^---.*$", text, flags=re.MULTILINE):
        if _KIND.search(part):
            shown = list(_literals(part))
            if shown:
                name = re.search(r"^\s+name:\s*(\S+)\s*$", part, re.MULTILINE)
                entries = [(key, value) for _, key, value in shown]
                yield _plain(line + shown[0][0], name[1] if name else "", entries)
        line += part.count("\n")


def _literals(part: str) -> Iterator[tuple[int, str, str]]:
    """(line within ``part`` from 1, key, value)."""
    lines = part.split("\n")
    for block in _BLOCK.finditer(part):
        start = part[: block.start()].count("\n")
        for number, line in enumerate(lines[start + 1 :], start + 2):
            entry = _ENTRY.match(line)
            if line.strip() and len(line) - len(line.lstrip()) <= len(block["indent"]):
                break
            if entry and _is_plain(entry["value"].strip().strip("\"'")):
                yield number, entry["key"], entry["value"]


def _pairs(node: Any) -> list[tuple[str, yaml.ScalarNode]]:
    entries = node.value if isinstance(node, yaml.MappingNode) else ()
    return [(key.value, value) for key, value in entries if isinstance(value, yaml.ScalarNode)]


def _scalar(node: Any) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _name(node: Any) -> str:
    fields = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    return _scalar(fields.get("name"))


def _is_plain(value: str) -> bool:
    return bool(_PLACEHOLDER.sub("", value).strip().strip("\"'")) and value not in ("null", "~", "|", ">", "|-", ">-")


def _plain(line: int, name: str, pairs: list[tuple[str, str]]) -> PlainSecret:
    return PlainSecret(line, name, tuple(key for key, _ in pairs), tuple(value for _, value in pairs))
