"""ServiceAccounts."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.authentication import TOKEN
from moorage.resources.declaring import CORE, by_name
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, size


def _errors(account: Document) -> list[FieldError]:
    return metadata_errors(account, names.dns_subdomain, namespaced=True)


SERVICE_ACCOUNT = Kind(
    group="",
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    singular="serviceaccount",
    namespaced=True,
    schema=f"{CORE}.ServiceAccount",
    short_names=("sa",),
    storage=ResourceKey("", "serviceaccounts"),
    name_rule=names.dns_subdomain,
    subresources=by_name([TOKEN]),
    columns=(NAME, Column("Secrets", size("secrets"), description="How many secrets it may use."), AGE),
    validate=_errors,
    validate_update=metadata_update_errors,
)
