"""The conditions that a transaction sets on objects and refs, looked at before the commit so that a refusal can say which failed.

The store checks them again inside the commit; this check only finds the words.
"""

from __future__ import annotations

from moorage.api.contracts import TransactionRequest
from moorage.api.errors import ApiError, qualified
from moorage.api.writing.views import CacheView
from moorage.resources.kind import Kind
from moorage.resources.registry import Registry
from moorage.store.contracts import Entry, Key, Precondition, Store


async def check(registry: Registry, view: CacheView, store: Store, request: TransactionRequest) -> None:
    """Raises ApiError 409 for the first condition that does not hold."""
    for index, condition in enumerate(request.preconditions):
        kind = kind_of(registry, condition.key)
        entry = await view.get(kind, condition.key.namespace, condition.key.name) if kind is not None else None
        problem = _problem(condition, entry)
        if problem:
            raise _refusal(f"preconditions[{index}]", condition.key, problem)
    for index, ref in enumerate(request.refs):
        if view.certain or request.dry_run:
            now = await store.ref(ref.repository, ref.ref)
            if now != ref.old:
                text = f"refs[{index}]: {ref.ref} is at {now or 'nothing'}, not at {ref.old or 'nothing'}"
                raise ApiError(409, f"Operation cannot be fulfilled: {text}; fetch and try again")


def kind_of(registry: Registry, key: Key) -> Kind | None:
    """A kind that is stored under the key's resource."""
    return next((kind for kind in registry if kind.storage == key.resource_key and kind.plural == key.resource), None)


def _problem(condition: Precondition, entry: Entry | None) -> str:
    if condition.exists is not None and condition.exists != (entry is not None):
        return "must exist" if condition.exists else "must not exist"
    if condition.uid is not None and (entry is None or entry.uid != condition.uid):
        return f"has uid {entry.uid if entry else 'none'}, not {condition.uid}"
    if condition.revision is not None and (entry is None or entry.revision != condition.revision):
        return f"has resourceVersion {entry.revision if entry else 'none'}, not {condition.revision}"
    return ""


def _refusal(path: str, key: Key, problem: str) -> ApiError:
    name = f"{key.namespace}/{key.name}" if key.namespace else key.name
    message = f'Precondition failed: {qualified(key.group, key.resource)} "{name}" {problem}'
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": path}]
    return ApiError(409, message, details={"causes": causes})
