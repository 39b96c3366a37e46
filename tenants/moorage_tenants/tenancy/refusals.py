"""Refusals: which tenant, which field, what is allowed, what to do."""

from __future__ import annotations

from moorage.resources.kind import FieldError


def refuse(path: str, message: str) -> FieldError:
    """A value at ``path`` that a tenant's rules forbid."""
    return FieldError(path, "FieldValueForbidden", message)


def beyond(path: str, tenant: str, what: str, field: str, allowed: object, remedy: str) -> FieldError:
    """``what`` is not among what the Tenant's ``field`` allows."""
    text = (
        f'tenant "{tenant}" may not {what}; allowed ({field}): {allowed}; {remedy}, '
        f"or ask an administrator to change it: kubectl edit tenant {tenant}"
    )
    return refuse(path, text)
