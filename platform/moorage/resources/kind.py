"""The shape of a kind's declaration. One entry of this type is all that a built-in kind needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Document = dict[str, Any]
"""A decoded Kubernetes object."""


class GroupVersionKind(NamedTuple):
    """What ``apiVersion`` and ``kind`` of a document say. ``group`` is "" for core."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version


class ResourceKey(NamedTuple):
    """Where objects of a kind are kept: the storage group and the plural. Never an API version."""

    group: str
    resource: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule, in the terms of Kubernetes' ``field.Error``.

    ``reason`` is the ``StatusCause`` reason; ``message`` is the whole text after the path, e.g.
    ``Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist of ...``.
    """

    path: str
    reason: Literal[
        "FieldValueNotFound",
        "FieldValueRequired",
        "FieldValueDuplicate",
        "FieldValueInvalid",
        "FieldValueNotSupported",
        "FieldValueForbidden",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
        "InternalError",
    ]
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``. ``cell`` gets the document and the time (seconds since the epoch) and returns the
    cell's JSON value.
    """

    name: str
    cell: Callable[[Document, float], Any]
    type: Literal["string", "integer", "number", "boolean", "date"] = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


def no_change(_document: Document) -> None:
    """Leave the document as it is (a kind without defaults)."""


def no_errors(_document: Document) -> Sequence[FieldError]:
    """A kind without rules of its own on create."""
    return ()


def no_update_errors(_new: Document, _old: Document) -> Sequence[FieldError]:
    """A kind without rules of its own on update."""
    return ()


def no_fields(_document: Document) -> Mapping[str, str]:
    """A kind that can be selected by ``metadata.name`` and ``metadata.namespace`` only."""
    return {}


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object with an endpoint of its own.

    ``status``: only ``.status`` (and metadata that controllers own) is written. ``scale``: an ``autoscaling/v1 Scale`` view.
    Others (``binding``, ``log``, ``token``, ...) are served by a handler that the API registers under this name.
    """

    name: str
    kind: GroupVersionKind
    verbs: tuple[str, ...] = ("get", "patch", "update")
    prepare: Callable[[Document, Document], Document] | None = None
    """What of a write through this subresource counts: (wanted, stored) -> the object to store. None: all that its kind lets
    change.
    """
    validate: Callable[[Document, Document], Sequence[FieldError]] | None = None
    """What such a write may not change; takes the place of the kind's ``validate_update``."""
    prepare_status: Callable[[Document, Document, str], None] | None = None
    """It writes a part of ``.status``, and this leaves that part only: as the kind's ``prepare_status``."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind as served at one version. Pure data plus pure functions over documents.

    ``default`` fills in what the user left out, in place, and is idempotent. ``prepare_create`` and
    ``prepare_update`` are the strategy's own
    part (initial status, computed fields), in place, after defaulting; ``prepare_status`` is that of ``/status`` and is
    told the time, as Kubernetes writes times; the generic part (status reset, generation,
    managedFields, timestamps) is the
    API's. ``validate`` runs after the published schema held, ``validate_update`` in addition on updates;
    ``validate_status_update`` on ``/status``.
    ``fields`` are the selectable fields beyond metadata.name and metadata.namespace.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    schema: str
    """Name of the definition in the published set (``io.k8s.api.core.v1.Pod``) or of one that we add for kinds of our own."""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    storage: ResourceKey
    sealed: bool = False
    """Kept as ciphertext; no column of the store and no index sees its contents, and no message shows a value of it."""
    encrypted: bool = False
    """Kept as ciphertext too, but no secret to those who may read it: messages show its values."""
    ttl: int | None = None
    """Seconds after its last write at which an object is removed (Events: 3600), or None."""
    has_generation: bool = False
    """``metadata.generation`` counts changes of anything but metadata and status."""
    status_on_create: bool = False
    """A create may carry ``.status`` (Node); else it is dropped when there is a status subresource."""
    allow_create_on_update: bool = False
    """PUT to a missing name creates it (Lease, Event; Kubernetes' AllowCreateOnUpdate)."""
    unconditional_update: bool = True
    """PUT without resourceVersion is allowed."""
    name_rule: Callable[[str], str | None]
    """Returns what is wrong with a name (the text after ``Invalid value: "x": ``), or None."""
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    verbs: tuple[str, ...] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    columns: tuple[Column, ...] = ()
    """Columns beside Name and before Age come from here whole: every column, in order, with Name first and Age where
    it belongs.
    """
    default: Callable[[Document], None] = no_change
    prepare_create: Callable[[Document], None] = no_change
    prepare_update: Callable[[Document, Document], None] = lambda _new, _old: None
    prepare_status: Callable[[Document, Document, str], None] = lambda _new, _old, _now: None
    validate: Callable[[Document], Sequence[FieldError]] = no_errors
    validate_update: Callable[[Document, Document], Sequence[FieldError]] = no_update_errors
    validate_status_update: Callable[[Document, Document], Sequence[FieldError]] = no_update_errors
    fields: Callable[[Document], Mapping[str, str]] = no_fields
    grace_seconds: Callable[[Document, int | None], int] | None = None
    """Graceful deletion (Pod): (document, requested seconds or None) -> seconds to wait; 0 deletes at once. None:
    this kind has no graceful deletion.
    """

    @property
    def gvk(self) -> GroupVersionKind:
        """Group, version and kind as one value."""
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def api_version(self) -> str:
        """What documents of this kind carry in ``apiVersion``."""
        return self.gvk.api_version

    @property
    def list_kind(self) -> str:
        """``PodList``."""
        return self.kind + "List"
