"""The definitions of SealedSecret and KeyRotation (``secrets.moorage.io/v1``), in the form of the published set."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources.schemas.shapes import (
    META,
    Schema,
    array,
    flag,
    integer,
    kind,
    kind_list,
    reference,
    structure,
    text,
    text_map,
)

GROUP = "secrets.moorage.io"
_S = "io.moorage.secrets.v1"

_CONDITIONS = array(f"{META}.Condition", "The latest observations of the object's state.", "type")

SECRETS_DEFINITIONS: Mapping[str, Schema] = {
    f"{_S}.SecretTemplateMeta": structure(
        "What the Secret's metadata gets beside its name.",
        {"labels": text_map("Labels of the Secret."), "annotations": text_map("Annotations of the Secret.")},
    ),
    f"{_S}.SecretTemplate": structure(
        "What the Secret is like beside its values.",
        {
            "metadata": reference(f"{_S}.SecretTemplateMeta", "Labels and annotations of the Secret."),
            "type": text("The type of the Secret. Defaults to Opaque."),
            "immutable": flag("Whether the Secret's values are fixed for ever."),
        },
    ),
    f"{_S}.SealedSecretSpec": structure(
        "A Secret that only this platform can read, and only under this object's namespace and name.",
        {
            "encryptedData": text_map("Key -> the value as moorage secrets seal prints it (base64)."),
            "template": reference(f"{_S}.SecretTemplate", "What the Secret is like beside its values."),
        },
        ("encryptedData",),
    ),
    f"{_S}.SealedSecretStatus": structure(
        "What became of the Secret.",
        {
            "observedGeneration": integer("The generation that this status is about.", "int64"),
            "conditions": _CONDITIONS,
        },
    ),
    f"{_S}.SealedSecret": kind(
        GROUP,
        "SealedSecret",
        "A Secret in a form that may be committed: sealed to the platform's public key, bound to its namespace and name.",
        {
            "spec": reference(f"{_S}.SealedSecretSpec", "The desired state."),
            "status": reference(f"{_S}.SealedSecretStatus", "The observed state."),
        },
    ),
    f"{_S}.SealedSecretList": kind_list(GROUP, "SealedSecret", f"{_S}.SealedSecret"),
    f"{_S}.KeyRotationSpec": structure(
        "Which keys are replaced. With nothing chosen: the data keys.",
        {
            "dataKeys": flag("New data keys; everything that the old ones sealed is sealed again."),
            "namespace": text("Only this namespace's data key; those of all namespaces where it is empty."),
            "keyEncryptionKey": flag(
                "Every key is wrapped by the key-encryption key that now stands first (or by a new one of the KMS)."
            ),
            "sealingKey": flag(
                "A new key pair for SealedSecrets. Older ones stay, so that what they sealed stays readable."
            ),
        },
    ),
    f"{_S}.KeyRotationStatus": structure(
        "How far the rotation is.",
        {
            "phase": text("Pending, Running, Waiting, Succeeded or Failed."),
            "message": text("What is being done or waited for, for people."),
            "total": integer("What is to be sealed or wrapped again, as last counted.", "int64"),
            "done": integer("How much of it has been.", "int64"),
            "namespaces": integer("How many namespaces got a new data key."),
            "keyEncryptionKey": text("The id of the key-encryption key in use."),
            "worker": text("The server that does it."),
            "heartbeatTime": reference(
                f"{META}.MicroTime", "When that server last said so; another one carries on after a while."
            ),
            "startedAt": reference(f"{META}.Time", "When it began."),
            "finishedAt": reference(f"{META}.Time", "When it ended."),
        },
    ),
    f"{_S}.KeyRotation": kind(
        GROUP,
        "KeyRotation",
        "An order to replace keys while everything runs, and its progress.",
        {
            "spec": reference(f"{_S}.KeyRotationSpec", "The desired state."),
            "status": reference(f"{_S}.KeyRotationStatus", "The observed state."),
        },
    ),
    f"{_S}.KeyRotationList": kind_list(GROUP, "KeyRotation", f"{_S}.KeyRotation"),
}
"""By name, with descriptions."""
