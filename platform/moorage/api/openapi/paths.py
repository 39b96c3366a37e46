"""The paths of a kind: which operations there are, what they take and what they answer.

kubectl reads from here which kind a path serves (explain), and whether a patch takes ``dryRun``, ``fieldValidation`` and
strategic merge patches (apply); the rest serves people and generators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from moorage.api.negotiate import APPLY_PATCH, JSON, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, YAML
from moorage.api.openapi.schemas import DELETE_OPTIONS, PATCH, STATUS, Definitions, reference
from moorage.resources.kind import GroupVersionKind, Kind, Subresource

Operation = dict[str, Any]
PathItem = dict[str, Any]

_PATCH_TYPES: Final = (APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH)

_PRETTY: Final = ("pretty", "string", "If 'true', then the output is indented.")
_DRY_RUN: Final = (
    "dryRun",
    "string",
    "When present, says that the change must not be stored. The one valid value is All: every stage is processed.",
)
_MANAGER: Final = ("fieldManager", "string", "Names the actor that makes the change. Required for apply patches.")
_VALIDATION: Final = (
    "fieldValidation",
    "string",
    "What becomes of unknown and duplicate fields: Ignore drops them, Warn (the default) drops and warns, Strict refuses.",
)
_FORCE: Final = ("force", "boolean", "Apply patches only: take over fields that other managers own.")
_WRITE: Final = (_DRY_RUN, _MANAGER, _VALIDATION)
_DELETE: Final = (
    _DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds until the object is deleted. Zero: at once. Missing: the kind's default.",
    ),
    ("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    ("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
)
_LIST: Final = (
    ("allowWatchBookmarks", "boolean", "Asks for watch events of type BOOKMARK."),
    ("continue", "string", "The token of a list that was cut short by limit: get the next part."),
    ("fieldSelector", "string", "Restricts the objects by their fields. Defaults to everything."),
    ("labelSelector", "string", "Restricts the objects by their labels. Defaults to everything."),
    ("limit", "integer", "The largest number of objects to answer with."),
    ("resourceVersion", "string", "Which state of the collection may be served."),
    ("resourceVersionMatch", "string", "How resourceVersion is applied: Exact or NotOlderThan."),
    ("sendInitialEvents", "boolean", "A watch begins with the objects that are there, then a bookmark."),
    ("timeoutSeconds", "integer", "Ends the call after this time."),
    ("watch", "boolean", "Watch for changes instead of listing."),
)


class Paths:
    """Renders paths in the form of one OpenAPI version (3 or 2)."""

    def __init__(self, definitions: Definitions, version: int) -> None:
        self._definitions = definitions
        self._version = version
        self.roots: set[str] = {STATUS, DELETE_OPTIONS, PATCH}
        """Definitions that the paths refer to."""

    def of_kind(self, kind: Kind) -> Iterator[tuple[str, PathItem]]:
        """Every path that serves ``kind``."""
        base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        self.roots.add(kind.schema)
        collection = f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{base}/{kind.plural}"
        parameters = [_NAMESPACE] if kind.namespaced else []
        yield collection, self._item(parameters, self._collection(kind))
        if kind.namespaced and "list" in kind.verbs:
            listing = self._operation(kind, "list", kind.gvk, _LIST, answer=kind.schema + "List", all_namespaces=True)
            yield f"{base}/{kind.plural}", self._item([], {"get": listing})
        named = self._named(kind)
        if named:
            yield f"{collection}/{{name}}", self._item([_NAME, *parameters], named)
        for name, subresource in sorted(kind.subresources.items()):
            operations = self._subresource(kind, name, subresource)
            yield f"{collection}/{{name}}/{name}", self._item([_NAME, *parameters], operations)

    def _collection(self, kind: Kind) -> dict[str, Operation]:
        found: dict[str, Operation] = {}
        if "list" in kind.verbs:
            found["get"] = self._operation(kind, "list", kind.gvk, _LIST, answer=kind.schema + "List")
        if "create" in kind.verbs:
            found["post"] = self._operation(kind, "post", kind.gvk, _WRITE, body=kind.schema, answer=kind.schema)
        if "deletecollection" in kind.verbs:
            found["delete"] = self._operation(
                kind, "deletecollection", kind.gvk, (*_LIST[1:-1], *_DELETE), body=DELETE_OPTIONS, answer=STATUS
            )
        return found

    def _named(self, kind: Kind) -> dict[str, Operation]:
        found: dict[str, Operation] = {}
        schema = kind.schema
        if "get" in kind.verbs:
            found["get"] = self._operation(kind, "get", kind.gvk, (), answer=schema)
        if "update" in kind.verbs:
            found["put"] = self._operation(kind, "put", kind.gvk, _WRITE, body=schema, answer=schema)
        if "patch" in kind.verbs:
            found["patch"] = self._operation(kind, "patch", kind.gvk, (*_WRITE, _FORCE), body=PATCH, answer=schema)
        if "delete" in kind.verbs:
            found["delete"] = self._operation(kind, "delete", kind.gvk, _DELETE, body=DELETE_OPTIONS, answer=STATUS)
        return found

    def _subresource(self, kind: Kind, name: str, subresource: Subresource) -> dict[str, Operation]:
        gvk = subresource.kind
        schema = kind.schema if gvk == kind.gvk else self._definitions.of_kind(*gvk) or kind.schema
        self.roots.add(schema)
        found: dict[str, Operation] = {}
        for verb, method, parameters in (("get", "get", ()), ("update", "put", _WRITE), ("create", "post", _WRITE)):
            if verb in subresource.verbs:
                body = None if verb == "get" else schema
                found[method] = self._operation(kind, method, gvk, parameters, body=body, answer=schema, part=name)
        if "patch" in subresource.verbs:
            taken = (*_WRITE, _FORCE)
            found["patch"] = self._operation(kind, "patch", gvk, taken, body=PATCH, answer=schema, part=name)
        return found

    def _item(self, parameters: list[tuple[str, str, str]], operations: dict[str, Operation]) -> PathItem:
        described = [self._parameter(*each, where="path") for each in parameters]
        return {**operations, "parameters": [*described, self._parameter(*_PRETTY)]}

    def _operation(
        self,
        kind: Kind,
        action: str,
        gvk: GroupVersionKind,
        parameters: tuple[tuple[str, str, str], ...],
        *,
        answer: str,
        body: str | None = None,
        part: str = "",
        all_namespaces: bool = False,
    ) -> Operation:
        if not self._definitions.has(answer):
            answer = kind.schema
        self.roots.add(answer)
        operation: Operation = {
            "description": _description(kind, action, part),
            "operationId": _operation_id(kind, action, part, all_namespaces),
            "tags": [_tag(kind)],
            "parameters": [self._parameter(*each) for each in parameters],
            "responses": self._responses(action, answer),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": gvk.group, "kind": gvk.kind, "version": gvk.version},
        }
        types = list(_PATCH_TYPES) if action == "patch" else ["*/*"]
        if self._version == 2:
            operation["consumes"] = types
            operation["produces"] = [JSON, YAML]
        if body is not None:
            self._add_body(operation, body, types)
        return operation

    def _add_body(self, operation: Operation, body: str, types: list[str]) -> None:
        schema = reference(body, self._version)
        if self._version == 3:
            operation["requestBody"] = {"content": {each: {"schema": schema} for each in types}}
            if body != DELETE_OPTIONS:
                operation["requestBody"]["required"] = True
        else:
            required = {} if body == DELETE_OPTIONS else {"required": True}
            operation["parameters"].append({"name": "body", "in": "body", "schema": schema, **required})

    def _responses(self, action: str, answer: str) -> dict[str, Any]:
        codes = {
            "post": ("200", "201", "202"),
            "put": ("200", "201"),
            "patch": ("200", "201"),
            "delete": ("200", "202"),
        }
        names = {"200": "OK", "201": "Created", "202": "Accepted"}
        schema = reference(answer, self._version)
        content = (
            {"content": {each: {"schema": schema} for each in (JSON, YAML)}}
            if self._version == 3
            else {"schema": schema}
        )
        found: dict[str, Any] = {code: {"description": names[code], **content} for code in codes.get(action, ("200",))}
        found["401"] = {"description": "Unauthorized"}
        return found

    def _parameter(self, name: str, type_: str, description: str, where: str = "query") -> dict[str, Any]:
        parameter: dict[str, Any] = {"name": name, "in": where, "description": description}
        if where == "path":
            parameter["required"] = True
        typed = {"type": type_, "uniqueItems": True}
        return {**parameter, "schema": typed} if self._version == 3 else {**parameter, **typed}


_NAMESPACE: Final = ("namespace", "string", "The namespace that the object is in.")
_NAME: Final = ("name", "string", "The name of the object.")

_ACTIONS: Final = {
    "list": "list or watch objects of kind",
    "post": "create",
    "deletecollection": "delete a collection of",
    "get": "read the specified",
    "put": "replace the specified",
    "patch": "partially update the specified",
    "delete": "delete",
}
_METHODS: Final = {
    "list": "list",
    "post": "create",
    "deletecollection": "delete",
    "get": "read",
    "put": "replace",
    "patch": "patch",
    "delete": "delete",
}


def _description(kind: Kind, action: str, part: str) -> str:
    return f"{_ACTIONS[action]} {part + ' of the specified ' if part else ''}{kind.kind}"


def _tag(kind: Kind) -> str:
    group = kind.group.removesuffix(".k8s.io").replace(".", "") or "core"
    return f"{group}_{kind.version}"


def _operation_id(kind: Kind, action: str, part: str, all_namespaces: bool) -> str:
    group = "".join(
        word.title() for word in (kind.group.removesuffix(".k8s.io") or "core").replace(".", "-").split("-")
    )
    scope = "Namespaced" if kind.namespaced and not all_namespaces else ""
    collection = "Collection" if action == "deletecollection" else ""
    tail = "ForAllNamespaces" if all_namespaces else ""
    part = "".join(word.title() for word in part.split("-"))
    return f"{_METHODS[action]}{group}{kind.version.title()}{collection}{scope}{kind.kind}{part}{tail}"
