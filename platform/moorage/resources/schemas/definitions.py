"""The published v1.36 definitions, lean in memory.

The set comes from the data files of ``kubernetes-validate`` (strict variant). What is kept here has neither descriptions nor
definitions that no served kind reaches; ``described()`` reads the whole again for whoever publishes it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from moorage.resources.schemas.own import OWN_DEFINITIONS

Node = Mapping[str, Any]
"""A part of a schema: a JSON Schema object with Kubernetes' extensions."""

VERSION = "v1.36.0"
PREFIX = "#/$defs/"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
FREE_FORM = frozenset(
    {
        "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
        "io.k8s.apimachinery.pkg.runtime.RawExtension",
        "io.moorage.AnyObject",
        "io.moorage.AnyValue",
    }
)
"""Definitions whose contents are kept as they are."""

_DROPPED = frozenset({"description", "x-kubernetes-group-version-kind", "enum", "$schema"})


def _published() -> dict[str, Any]:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "the package kubernetes-validate, which carries the Kubernetes schemas, is not installed; "
            "install moorage[server]"
        )
    folder = Path(spec.origin).parent / "kubernetes-json-schema" / f"{VERSION}-local-strict"
    definitions: dict[str, Any] = orjson.loads((folder / "_definitions.json").read_bytes())["$defs"]
    return definitions


def described() -> dict[str, Any]:
    """Every definition with its description: large (6 MB); read anew at each call, so keep only what is rendered from it."""
    return {**_published(), **OWN_DEFINITIONS}


def references(node: Any) -> Iterator[str]:
    """Names of the definitions that ``node`` refers to, in order, with repeats."""
    if isinstance(node, Mapping):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(PREFIX)
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def reachable(definitions: Mapping[str, Any], roots: Iterable[str]) -> set[str]:
    """Names of ``roots`` and of all that they refer to. Raises KeyError for a name that is not there."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(references(definitions[name]))
    return seen


def _lean(node: Any, keep: frozenset[str] = frozenset()) -> Any:
    if isinstance(node, dict):
        return {
            key: {name: _lean(value) for name, value in child.items()} if key == "properties" else _lean(child)
            for key, child in node.items()
            if key not in _DROPPED or (key == "enum" and "enum" in keep)
        }
    if isinstance(node, list):
        return [_lean(item) for item in node]
    return node


class Definitions:
    """A set of definitions by name. Definitions are loaded when first asked for; custom kinds add theirs."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._resolved: dict[int, tuple[Node, dict[str, Any]]] = {}

    def load(self, roots: Iterable[str]) -> None:
        """Read what ``roots`` reach from the published set, in one go."""
        missing = [root for root in roots if root not in self._nodes]
        if not missing:
            return
        whole = described()
        for name in reachable(whole, missing):
            if name not in self._nodes:
                self._nodes[name] = _lean(whole[name])

    def add(self, name: str, node: Node) -> None:
        """Add or replace a definition (of a custom kind)."""
        self._nodes[name] = node
        self._resolved.clear()

    def definition(self, name: str) -> Node:
        """The definition called ``name``. Raises KeyError where there is none."""
        if name not in self._nodes:
            self.load([name])
        return self._nodes[name]

    def resolve(self, node: Node) -> Node:
        """``node`` with its reference followed; extensions beside the reference win over those of the definition."""
        reference = node.get("$ref")
        if reference is None:
            return node
        target = reference.removeprefix(PREFIX)
        if len(node) == 1:
            return self.definition(target)
        known = self._resolved.get(id(node))
        if known is None or known[0] is not node:
            # The node is kept, too: the number of one that is gone would be that of another node some day.
            known = self._resolved[id(node)] = node, {**self.definition(target), **node}
            del known[1]["$ref"]
        return known[1]


@cache
def published() -> Definitions:
    """The definitions of this process."""
    return Definitions()


def definition(name: str) -> Node:
    """The definition called ``name`` (``io.k8s.api.core.v1.Pod``). Raises KeyError where there is none."""
    return published().definition(name)


def resolve(node: Node) -> Node:
    """``node`` with its ``$ref`` followed."""
    return published().resolve(node)
