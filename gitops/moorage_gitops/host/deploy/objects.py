"""From documents to operations: what each document is, where it belongs, whom it is marked as belonging to. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from moorage.api.contracts import Operation
from moorage.resources.kind import Document, GroupVersionKind, Kind
from moorage.resources.registry import Registry
from moorage.store.contracts import Key
from moorage_gitops.host.deploy.problems import Problem
from moorage_gitops.host.deploy.source import Reading
from moorage_gitops.host.manifests.limits import Parsed
from moorage_gitops.names import (
    APPLICATION_LABEL,
    APPLIED_ANNOTATION,
    FIELD_MANAGER,
    GROUP,
    TRACKING_ANNOTATION,
    tracking_id,
)


@dataclass(frozen=True, slots=True)
class Owner:
    """The Application that a commit is deployed for."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Desired:
    """An object that the commit asks for. ``parsed`` is it as written, for positions; ``document`` as it is applied."""

    file: str
    parsed: Parsed
    root: str
    kind: Kind
    namespace: str
    name: str
    document: Document

    @property
    def key(self) -> Key:
        """Its identity in the store."""
        return Key(*self.kind.storage, self.namespace, self.name)

    @property
    def subject(self) -> str:
        """As messages name it."""
        return subject(self.kind, self.namespace, self.name)

    def line(self, path: str) -> int:
        """The line of a field of the object."""
        return self.parsed.places.line(
            self.parsed.value, f"{self.root}.{path}" if self.root and path else self.root or path
        )

    def operation(self, applied: str) -> Operation:
        """Server-side apply of the whole object, with the digest ``applied`` on it.

        The operation gets a copy: what applies it may fill in defaults.
        """
        document: Document = orjson.loads(orjson.dumps(self.document))
        document["metadata"]["annotations"][APPLIED_ANNOTATION] = applied
        return Operation(
            verb="apply",
            kind=self.kind,
            namespace=self.namespace,
            name=self.name,
            document=document,
            field_manager=FIELD_MANAGER,
            force=True,
            origin=f"{self.file}:{self.line('')}",
        )


@dataclass(slots=True)
class Objects:
    """The objects of a commit, in the order of files, and what is wrong with its documents."""

    desired: list[Desired] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def subject(kind: Kind, namespace: str, name: str) -> str:
    """``Deployment shop/web``, ``Namespace shop``."""
    return f"{kind.kind} {namespace}/{name}" if namespace else f"{kind.kind} {name}"


def collect(reading: Reading, registry: Registry, owner: Owner, limit: int) -> Objects:
    """The objects that the documents of ``reading`` describe, marked as ``owner``'s; ``limit`` at most."""
    objects = Objects()
    seen: dict[Key, Desired] = {}
    for file, parsed, root, value in _expanded(reading.documents):
        found = _object(file, parsed, root, value, registry, owner)
        if isinstance(found, Problem):
            objects.problems.append(found)
            continue
        first = seen.setdefault(found.key, found)
        if first is not found:
            message = f"appears twice, first in {first.file}:{first.line('')}; keep one"
            objects.problems.append(Problem(file, found.line(""), found.subject, message))
            continue
        objects.desired.append(found)
    if len(objects.desired) > limit:
        message = f"{len(objects.desired)} objects; one commit may deploy {limit}. Split the application"
        objects.problems.append(Problem("(the whole commit)", 0, "", message))
    return objects


def _expanded(documents: Iterable[tuple[str, Parsed]]) -> Iterator[tuple[str, Parsed, str, Any]]:
    """Each document, and instead of a list (``kind: List``) its items; with the path of the item in its document."""
    for file, parsed in documents:
        value = parsed.value
        if (
            isinstance(value, dict)
            and str(value.get("kind", "")).endswith("List")
            and isinstance(value.get("items"), list)
        ):
            for index, item in enumerate(value["items"]):
                yield file, parsed, f"items[{index}]", item
        else:
            yield file, parsed, "", value


def _object(file: str, parsed: Parsed, root: str, value: Any, registry: Registry, owner: Owner) -> Desired | Problem:
    def problem(path: str, message: str, about: str = "") -> Problem:
        full = f"{root}.{path}" if root and path else root or path
        return Problem(file, parsed.places.line(parsed.value, full), about, message)

    if not isinstance(value, dict):
        return problem("", f"a manifest must be a mapping with apiVersion, kind and metadata, not {_type(value)}")
    for required in ("apiVersion", "kind"):
        if not isinstance(value.get(required), str) or not value[required]:
            return problem(
                required, f"{required}: Required value: every object says its {required}, like {_EXAMPLES[required]}"
            )
    kind = _kind(value, registry)
    if isinstance(kind, str):
        return problem("kind", kind)
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return problem("metadata", "metadata: Required value: a mapping with at least a name", kind.kind)
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        message = "metadata.name: Required value"
        if metadata.get("generateName"):
            message += ": generateName has no meaning in Git, where the same file is applied again and again"
        elif name is not None:
            message = f"metadata.name: Invalid value: must be a text, not {_type(name)}; put it in quotes"
        return problem("metadata.name", message, kind.kind)
    for part in ("labels", "annotations"):
        if not isinstance(metadata.get(part) or {}, dict):
            return problem(f"metadata.{part}", f"metadata.{part}: must be a mapping", f"{kind.kind} {name}")
    namespace = metadata.get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        return problem("metadata.namespace", "metadata.namespace: must be a text", f"{kind.kind} {name}")
    if not kind.namespaced and namespace:
        message = f"metadata.namespace: Forbidden: a {kind.kind} belongs to no namespace"
        return problem("metadata.namespace", message, f"{kind.kind} {name}")
    place = (namespace or owner.namespace) if kind.namespaced else ""
    if kind.group == GROUP and name == owner.name and place == owner.namespace:
        message = f"is what deploys this commit; change it with kubectl edit {kind.singular} -n {place} {name}"
        return problem("", message, f"{kind.kind} {name}")
    return Desired(file, parsed, root, kind, place, name, _marked(value, kind, place, name, owner))


def _kind(value: Document, registry: Registry) -> Kind | str:
    group, _, version = value["apiVersion"].rpartition("/")
    kind = registry.by_kind(GroupVersionKind(group, version, value["kind"]))
    if kind is not None and "patch" in kind.verbs:
        return kind
    message = f'no matches for kind "{value["kind"]}" in version "{value["apiVersion"]}"'
    known = {f"{kind.kind} in {kind.api_version}" for kind in registry if "patch" in kind.verbs}
    wanted = f"{value['kind']} in {value['apiVersion']}"
    same = sorted(text for text in known if text.startswith(f"{value['kind']} in "))
    close = same or difflib.get_close_matches(wanted, sorted(known), 1, 0.8)
    return f"{message}; did you mean {close[0]}?" if close else f"{message}; kubectl api-resources lists what there is"


def _marked(value: Document, kind: Kind, namespace: str, name: str, owner: Owner) -> Document:
    metadata = dict(value["metadata"])
    if kind.namespaced:
        metadata["namespace"] = namespace
    for server_side in ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"):
        metadata.pop(server_side, None)
    tracking = tracking_id(owner.namespace, owner.name, kind.group, kind.kind, namespace, name)
    metadata["labels"] = {**(metadata.get("labels") or {}), APPLICATION_LABEL: owner.name}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TRACKING_ANNOTATION: tracking}
    document = {**value, "metadata": metadata}
    if "status" in kind.subresources:
        document.pop("status", None)
    return document


_EXAMPLES = {"apiVersion": "apps/v1", "kind": "Deployment"}


def _type(value: Any) -> str:
    if value is None:
        return "nothing"
    return {list: "a list", str: "a text", bool: "true or false", dict: "a mapping"}.get(type(value), "a number")
