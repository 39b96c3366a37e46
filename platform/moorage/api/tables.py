"""``meta.k8s.io/v1 Table``: objects as ``kubectl get`` prints them.

``table(kind, documents, revision, token, remaining, include=..., headers=..., version=..., now=...)`` -> the Table document.
``include`` is the query parameter includeObject: what each row carries beside its cells. ``headers=False`` leaves the column
definitions out, as in every event of a watch after the first. Source: API concepts, "Receiving resources as Tables".
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, Literal, cast

from moorage.api.encode import partial
from moorage.api.errors import bad_request
from moorage.resources.kind import Column, Document, Kind

Include = Literal["Metadata", "None", "Object"]
_INCLUDES: Final = ("Metadata", "None", "Object")

_NAME_DESCRIPTION: Final = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. "
    "More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)


def include_of(value: str) -> Include:
    """The query parameter includeObject, ``Metadata`` where it is missing. Raises ApiError 400."""
    if not value:
        return "Metadata"
    if value not in _INCLUDES:
        listed = ", ".join(f'"{each}"' for each in _INCLUDES)
        raise bad_request(f'includeObject: Unsupported value: "{value}": supported values: {listed}')
    return cast(Include, value)


def table(
    kind: Kind,
    documents: Iterable[Document],
    revision: int | str = "",
    token: str = "",
    remaining: int | None = None,
    *,
    include: str = "Metadata",
    headers: bool = True,
    version: str = "v1",
    now: float | None = None,
) -> Document:
    """A Table of ``documents``. Without ``revision`` it is that of the only document."""
    rows = list(documents)
    if not revision and len(rows) == 1:
        revision = (rows[0].get("metadata") or {}).get("resourceVersion", "")
    metadata: dict[str, Any] = {"resourceVersion": str(revision)} if revision != "" else {}
    if token:
        metadata["continue"] = token
        if remaining is not None:
            metadata["remainingItemCount"] = remaining
    moment = time.time() if now is None else now
    columns = kind.columns or _DEFAULT_COLUMNS
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "columnDefinitions": list(_definitions(columns)) if headers else None,
        "rows": [
            {
                "cells": [column.cell(document, moment) for column in columns],
                "object": _row_object(document, include, version),
            }
            for document in rows
        ],
    }


def _row_object(document: Document, include: str, version: str) -> Document | None:
    if include == "None":
        return None
    return document if include == "Object" else partial(document, version)


@lru_cache(256)
def _definitions(columns: tuple[Column, ...]) -> tuple[Document, ...]:
    return tuple(_definition(column) for column in columns)


def _definition(column: Column) -> Document:
    name = column.name == "Name"
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format or ("name" if name else ""),
        "description": column.description or (_NAME_DESCRIPTION if name else ""),
        "priority": column.priority,
    }


def _name(document: Document, _now: float) -> Any:
    return (document.get("metadata") or {}).get("name", "")


def _created_at(document: Document, _now: float) -> Any:
    return (document.get("metadata") or {}).get("creationTimestamp")


# What kube-apiserver prints of a kind that declares no columns.
_DEFAULT_COLUMNS: Final = (Column("Name", _name), Column("Created At", _created_at, type="date"))
