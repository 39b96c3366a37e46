"""Secrets. Sealed: their documents are kept as ciphertext, and no message about one shows a value of its data."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources import names
from moorage.resources.declaring import CORE
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.printing import AGE, NAME, size, text


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
    fields=_fields,
)
