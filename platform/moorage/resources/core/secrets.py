"""Secrets. Sealed: their documents are kept as ciphertext, and no message about one shows a value of its data."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import orjson

from moorage.resources import names
from moorage.resources.core.configmaps import SIZE_LIMIT, decoded_size, frozen_errors
from moorage.resources.declaring import CORE
from moorage.resources.field_errors import immutable, invalid, required, too_long
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, size, text

_ACCOUNT = "kubernetes.io/service-account.name"
_REDACTED = "<secret contents redacted>"
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
"""Secret type -> keys that it must have."""
_JSON_KEYS = (".dockercfg", ".dockerconfigjson")


def _default(secret: Document) -> None:
    """``stringData`` is write-only: it goes into ``data``, over what is there."""
    plain = secret.pop("stringData", None)
    if plain:
        data = secret.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()
    if not secret.get("type"):
        secret["type"] = "Opaque"


def _is_json_object(encoded: str) -> bool:
    try:
        return isinstance(orjson.loads(base64.b64decode(encoded)), dict)
    except (orjson.JSONDecodeError, binascii.Error):
        return False


def _type_errors(secret: Document, data: Mapping[str, str]) -> list[FieldError]:
    kind = secret.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        named = at(secret, "metadata.annotations", {}).get(_ACCOUNT)
        return [] if named else [required(f"metadata.annotations[{_ACCOUNT}]")]
    if kind == "kubernetes.io/basic-auth":
        keys = ("username", "password")
        return [] if any(key in data for key in keys) else [required(f"data[{key}]") for key in keys]
    errors: list[FieldError] = []
    for key in _NEEDED.get(kind, ()):
        if key not in data or (key == "ssh-privatekey" and not data[key]):
            errors.append(required(f"data[{key}]"))
        elif key in _JSON_KEYS and not _is_json_object(data[key]):
            errors.append(invalid(f"data[{key}]", _REDACTED, "must be a JSON object"))
    return errors


def _errors(secret: Document) -> list[FieldError]:
    errors = metadata_errors(secret, names.dns_subdomain, namespaced=True)
    data: Mapping[str, str] = secret.get("data") or {}
    for key in data:
        if problem := names.config_key(key):
            errors.append(invalid(f"data[{key}]", key, problem))
    if sum(map(decoded_size, data.values())) > SIZE_LIMIT:
        errors.append(too_long("data", SIZE_LIMIT))
    return errors + _type_errors(secret, data)


def _update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old) + immutable("type", new.get("type"), old.get("type"))
    return errors + frozen_errors(new, old, "data")


def _fields(secret: Document) -> Mapping[str, str]:
    return {"type": secret.get("type") or ""}


SECRET = Kind(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    singular="secret",
    namespaced=True,
    schema=f"{CORE}.Secret",
    storage=ResourceKey("", "secrets"),
    sealed=True,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Type", text("type"), description="What the secret is for."),
        Column("Data", size("data"), description="How many keys it holds."),
        AGE,
    ),
    default=_default,
    validate=_errors,
    validate_update=_update_errors,
    fields=_fields,
)
