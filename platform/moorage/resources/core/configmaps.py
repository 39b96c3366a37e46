"""ConfigMaps. Kept as ciphertext, as Secrets are: what is in them is nobody's business who reads a disk or a backup."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.declaring import CORE
from moorage.resources.field_errors import forbidden, invalid, too_long
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, size

SIZE_LIMIT = 1024 * 1024
"""Bytes that a ConfigMap's or a Secret's values may have together."""
FROZEN = "field is immutable when `immutable` is set"


def decoded_size(base64: str) -> int:
    """Bytes that a base64 text stands for."""
    return len(base64) // 4 * 3 - base64[-2:].count("=")


def _errors(config_map: Document) -> list[FieldError]:
    errors = metadata_errors(config_map, names.dns_subdomain, namespaced=True)
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    total = 0
    for key, value in data.items():
        if problem := names.config_key(key):
            errors.append(invalid(f"data[{key}]", key, problem))
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        total += len(value.encode())
    for key, value in binary.items():
        if problem := names.config_key(key):
            errors.append(invalid(f"binaryData[{key}]", key, problem))
        total += decoded_size(value)
    if total > SIZE_LIMIT:
        errors.append(too_long("[]", SIZE_LIMIT))
    return errors


def frozen_errors(new: Document, old: Document, *names_of_fields: str) -> list[FieldError]:
    """What may not change once ``immutable`` is set."""
    if not old.get("immutable"):
        return []
    errors = [] if new.get("immutable") else [forbidden("immutable", FROZEN)]
    changed = [name for name in names_of_fields if (new.get(name) or {}) != (old.get(name) or {})]
    return errors + [forbidden(name, FROZEN) for name in changed]


def _update_errors(new: Document, old: Document) -> list[FieldError]:
    return metadata_update_errors(new, old) + frozen_errors(new, old, "data", "binaryData")


CONFIG_MAP = Kind(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    singular="configmap",
    namespaced=True,
    schema=f"{CORE}.ConfigMap",
    short_names=("cm",),
    storage=ResourceKey("", "configmaps"),
    encrypted=True,
    name_rule=names.dns_subdomain,
    columns=(NAME, Column("Data", size("data", "binaryData"), description="How many keys it holds."), AGE),
    validate=_errors,
    validate_update=_update_errors,
)
