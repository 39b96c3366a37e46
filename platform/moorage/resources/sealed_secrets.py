"""secrets.moorage.io/v1: SealedSecrets, Secrets that may be committed, and KeyRotations, orders to replace keys.

Whether a SealedSecret's values can be opened is not known here; ``moorage_tenants.sealed_secrets`` asks that of every write,
and writes the Secret together with it. So the status of one that is stored says: synced.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.declaring import by_name, status_of
from moorage.resources.field_errors import forbidden, immutable, invalid, required
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.label_selector import label_errors
from moorage.resources.metadata import annotation_errors, metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, size, text

GROUP = "secrets.moorage.io"
SEALED_LENGTH = 2 * 1024 * 1024
"""Characters that all sealed values may have together; the Secret's own limit holds beside it."""
REFUSED_TYPES = ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token")
"""Types whose Secrets give an identity: they are made by who may make that identity, never by a sealed text."""
ROTATION_SECONDS = 30 * 24 * 3600
"""How long a KeyRotation is kept after its last progress."""
FINISHED = ("Succeeded", "Failed")


def _default(sealed: Document) -> None:
    template = sealed.setdefault("spec", {}).setdefault("template", {})
    if not template.get("type"):
        template["type"] = "Opaque"


def _errors(sealed: Document) -> list[FieldError]:
    errors = metadata_errors(sealed, names.dns_subdomain, namespaced=True)
    spec: Mapping[str, Any] = sealed.get("spec") or {}
    values: Mapping[str, str] = spec.get("encryptedData") or {}
    if not values:
        errors.append(required("spec.encryptedData", "at least one value; make it with: moorage secrets seal"))
    for key, value in values.items():
        path = f"spec.encryptedData[{key}]"
        if problem := names.config_key(key):
            errors.append(invalid(path, key, problem))
        elif not _is_base64(value):
            errors.append(invalid(path, "<sealed>", "must be base64, as moorage secrets seal prints it"))
    if sum(map(len, values.values())) > SEALED_LENGTH:
        errors.append(
            FieldError(
                "spec.encryptedData", "FieldValueTooLong", f"Too long: may not be more than {SEALED_LENGTH} bytes"
            )
        )
    return errors + _template_errors(spec.get("template") or {})


def _template_errors(template: Mapping[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    if template.get("type") in REFUSED_TYPES:
        errors.append(
            forbidden(
                "spec.template.type", f"a Secret of type {template['type']} gives an identity and cannot be sealed"
            )
        )
    metadata: Mapping[str, Any] = template.get("metadata") or {}
    errors += label_errors("spec.template.metadata.labels", metadata.get("labels") or {})
    return errors + annotation_errors("spec.template.metadata.annotations", metadata.get("annotations"))


def _is_base64(value: str) -> bool:
    try:
        return bool(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return False


def _synced(sealed: Document) -> None:
    """What is stored was opened, and its Secret is in the same commit."""
    metadata = sealed["metadata"]
    generation = metadata.get("generation", 1)
    condition = {
        "type": "Synced",
        "status": "True",
        "reason": "Unsealed",
        "message": f"Secret {metadata.get('name', '')} holds {len(at(sealed, 'spec.encryptedData', {}))} values of it",
        "observedGeneration": generation,
        "lastTransitionTime": _first_condition(sealed).get("lastTransitionTime") or metadata.get("creationTimestamp"),
    }
    sealed["status"] = {"observedGeneration": generation, "conditions": [condition]}


def _prepare_update(new: Document, old: Document) -> None:
    if new.get("spec") != old.get("spec"):
        shown = {**new, "metadata": {**new["metadata"], "generation": old["metadata"].get("generation", 0) + 1}}
        _synced(shown)
        new["status"] = shown["status"]


def _first_condition(sealed: Document) -> Mapping[str, Any]:
    conditions: list[Mapping[str, Any]] = at(sealed, "status.conditions", [])
    return conditions[0] if conditions else {}


def _condition(sealed: Document, _now: float) -> str:
    return str(_first_condition(sealed).get("status") or "Unknown")


SEALED_SECRET = Kind(
    group=GROUP,
    version="v1",
    kind="SealedSecret",
    plural="sealedsecrets",
    singular="sealedsecret",
    namespaced=True,
    schema="io.moorage.secrets.v1.SealedSecret",
    short_names=("sealed",),
    storage=ResourceKey(GROUP, "sealedsecrets"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of(GROUP, "v1", "SealedSecret"),)),
    columns=(
        NAME,
        Column("Type", text("spec.template.type"), description="The type of the Secret."),
        Column("Data", size("spec.encryptedData"), description="How many values it holds."),
        Column("Synced", _condition, description="Whether the Secret is as it says."),
        AGE,
    ),
    default=_default,
    prepare_create=_synced,
    prepare_update=_prepare_update,
    validate=_errors,
    validate_update=metadata_update_errors,
    validate_status_update=metadata_update_errors,
)


def _default_rotation(rotation: Document) -> None:
    spec = rotation.setdefault("spec", {})
    if not (spec.get("keyEncryptionKey") or spec.get("sealingKey")):
        spec["dataKeys"] = True


def _pending(rotation: Document) -> None:
    rotation["status"] = {"phase": "Pending", "message": "waiting for a server to begin"}


def _rotation_errors(rotation: Document) -> list[FieldError]:
    errors = metadata_errors(rotation, names.dns_subdomain, namespaced=False)
    spec: Mapping[str, Any] = rotation.get("spec") or {}
    namespace = spec.get("namespace", "")
    if namespace and (problem := names.dns_label(namespace)):
        errors.append(invalid("spec.namespace", namespace, problem))
    if namespace and not spec.get("dataKeys"):
        errors.append(forbidden("spec.namespace", "only data keys belong to a namespace; set spec.dataKeys"))
    return errors


def _rotation_update_errors(new: Document, old: Document) -> list[FieldError]:
    return metadata_update_errors(new, old) + immutable("spec", new.get("spec"), old.get("spec"))


def _progress(rotation: Document, _now: float) -> str:
    return f"{at(rotation, 'status.done', 0) or 0}/{at(rotation, 'status.total', 0) or 0}"


KEY_ROTATION = Kind(
    group=GROUP,
    version="v1",
    kind="KeyRotation",
    plural="keyrotations",
    singular="keyrotation",
    namespaced=False,
    schema="io.moorage.secrets.v1.KeyRotation",
    storage=ResourceKey(GROUP, "keyrotations"),
    ttl=ROTATION_SECONDS,
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of(GROUP, "v1", "KeyRotation"),)),
    columns=(
        NAME,
        Column("Phase", text("status.phase"), description="How far it is."),
        Column("Done", _progress, description="What was sealed or wrapped again, of all."),
        Column("Namespace", text("spec.namespace"), description="Only this namespace's data key."),
        AGE,
        Column("Message", text("status.message"), priority=1, description="What is being done."),
    ),
    default=_default_rotation,
    prepare_create=_pending,
    validate=_rotation_errors,
    validate_update=_rotation_update_errors,
    validate_status_update=metadata_update_errors,
)
