"""ComponentStatuses: whether the parts of the control plane are well. Found out when somebody asks, and kept nowhere."""

from __future__ import annotations

from typing import Any

from moorage.resources import names
from moorage.resources.declaring import CORE
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.printing import NAME

_WORDS = {"True": "Healthy", "False": "Unhealthy"}


def _health(document: Document) -> Document:
    found: Document = next((each for each in document.get("conditions") or () if each.get("type") == "Healthy"), {})
    return found


def _status(document: Document, _now: float) -> Any:
    return _WORDS.get(str(_health(document).get("status")), "Unknown")


def _message(document: Document, _now: float) -> Any:
    return _health(document).get("message", "")


def _error(document: Document, _now: float) -> Any:
    return _health(document).get("error", "")


COMPONENT_STATUS = Kind(
    group="",
    version="v1",
    kind="ComponentStatus",
    plural="componentstatuses",
    singular="componentstatus",
    namespaced=False,
    schema=f"{CORE}.ComponentStatus",
    short_names=("cs",),
    storage=ResourceKey("", "componentstatuses"),
    name_rule=names.path_segment,
    verbs=("get", "list"),
    columns=(
        NAME,
        Column("Status", _status, description="Status of the component conditions"),
        Column("Message", _message, description="Message of the component conditions"),
        Column("Error", _error, description="Error of the component conditions"),
    ),
)
