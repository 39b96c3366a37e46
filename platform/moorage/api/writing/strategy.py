"""What the API itself decides about an object: identity, times, generation, what of a body counts.

Source: apiserver/pkg/registry/rest/{create,update,delete}.go.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from moorage.api.errors import ApiError, bad_request, conflict, invalid
from moorage.resources.kind import Document, FieldError, Kind

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_GENERATED_BASE = 63 - _SUFFIX_LENGTH

_chance = random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311 - see new_uid
_VARIANT = "89ab" * 4

NAMESPACE_MISMATCH = "the namespace of the provided object does not match the namespace sent on the request"


def now() -> str:
    """This second, as Kubernetes writes times."""
    return _stamp(int(time.time()))


@lru_cache(8)
def _stamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def new_uid() -> str:
    """A random UUID (RFC 9562, version 4). Nothing relies on nobody guessing it.

    [measured] ``uuid.uuid4`` costs 4 us, most of it a system call.
    """
    digits = f"{_chance.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[int(digits[16], 16)]}{digits[17:20]}-{digits[20:]}"


def generate_name(base: str) -> str:
    """``base`` and five random characters that spell no word; a long base is cut (names.SimpleNameGenerator). No secret."""
    return base[:_GENERATED_BASE] + "".join(_chance.choices(_SUFFIX_ALPHABET, k=_SUFFIX_LENGTH))


@lru_cache(1024)
def suffix_of(text: str) -> str:
    """Five characters that ``generate_name`` might have chosen, the same ones for the same text. No secret."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(_SUFFIX_ALPHABET[byte % len(_SUFFIX_ALPHABET)] for byte in digest[:_SUFFIX_LENGTH])


def metadata_of(document: Document) -> dict[str, Any]:
    """The metadata, made where it is missing."""
    metadata: dict[str, Any] = document.setdefault("metadata", {})
    return metadata


def place(kind: Kind, document: Document, namespace: str) -> None:
    """Give the object the namespace of its URL. Raises ApiError 400 where it names another."""
    metadata = metadata_of(document)
    given = metadata.get("namespace", "")
    if not kind.namespaced:
        # Kubernetes drops a namespace on cluster-scoped objects silently only where it is empty.
        if given:
            raise bad_request(NAMESPACE_MISMATCH)
        metadata.pop("namespace", None)
        return
    if given and given != namespace:
        raise bad_request(NAMESPACE_MISMATCH)
    metadata["namespace"] = namespace


def before_create(kind: Kind, document: Document) -> str:
    """Fill in what the system decides. Returns the new uid. Raises ApiError 400 or 422 where there is no name."""
    metadata = metadata_of(document)
    if metadata.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "generation"):
        metadata.pop(name, None)
    if not metadata.get("name"):
        base = metadata.get("generateName")
        if not base:
            raise invalid(
                kind.group,
                kind.kind,
                "",
                [FieldError("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")],
            )
        metadata["name"] = generate_name(base)
    uid = new_uid()
    metadata["uid"] = uid
    metadata["creationTimestamp"] = now()
    if kind.has_generation:
        metadata["generation"] = 1
    kind.prepare_create(document)
    return uid


def drop_status(kind: Kind, document: Document) -> None:
    """A create says nothing about the status where that has an endpoint of its own."""
    if "status" in kind.subresources and not kind.status_on_create:
        document.pop("status", None)


def before_update(kind: Kind, new: Document, old: Document, url_name: str) -> None:
    """Keep what an update of the main resource cannot change, and count the generation."""
    same_object(kind, new, old, url_name)
    if "status" in kind.subresources:
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
    kind.prepare_update(new, old)
    count_generation(kind, new, old)


def before_status_update(
    kind: Kind,
    new: Document,
    old: Document,
    url_name: str,
    prepare: Callable[[Document, Document, str], None] | None = None,
) -> Document:
    """The stored object with the status of ``new``, and those parts of its metadata that ``/status`` may write. ``prepare``
    takes the place of the kind's for a subresource that writes a part of the status.
    """
    same_object(kind, new, old, url_name)
    result = dict(old)
    if "status" in new:
        result["status"] = new["status"]
    else:
        result.pop("status", None)
    result["metadata"] = _status_metadata(kind, new["metadata"], old["metadata"])
    (prepare or kind.prepare_status)(result, old, now())
    return result


def _status_metadata(kind: Kind, new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    metadata = dict(old)
    # Kubernetes' status strategies keep labels, but Pods' and Nodes' let both through.
    writable = ["annotations", "managedFields"]
    if kind.group == "" and kind.plural in ("pods", "nodes", "namespaces"):
        writable.append("labels")
    for name in writable:
        if name in new:
            metadata[name] = new[name]
        else:
            metadata.pop(name, None)
    return metadata


def name_mismatch(name: str, url_name: str) -> ApiError:
    """400: the object is another than the URL's."""
    return bad_request(f"the name of the object ({name}) does not match the name on the URL ({url_name})")


def same_object(kind: Kind, new: Document, old: Document, url_name: str) -> None:
    """Carry over what identifies the object. Raises ApiError 400 for another name, 409 for another uid."""
    metadata, before = metadata_of(new), old["metadata"]
    name = metadata.get("name") or url_name
    if name != url_name:
        raise name_mismatch(name, url_name)
    metadata["name"] = name
    uid = metadata.get("uid")
    if uid and uid != before["uid"]:
        detail = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
        raise conflict(kind.storage.group, kind.plural, name, detail)
    for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName"):
        if field not in metadata and field in before:
            metadata[field] = before[field]
    metadata.pop("selfLink", None)
    if "generation" in before:
        metadata["generation"] = before["generation"]
    else:
        metadata.pop("generation", None)


def count_generation(kind: Kind, new: Document, old: Document) -> None:
    """One more where anything but metadata and status changed."""
    if kind.has_generation and any(new.get(name) != old.get(name) for name in {*new, *old} - {"metadata", "status"}):
        metadata_of(new)["generation"] = old["metadata"].get("generation", 0) + 1


def check_resource_version(kind: Kind, new: Document, name: str, revision: int) -> bool:
    """Whether the update is conditional. Raises ApiError 409 for a stale resourceVersion, 422 for a missing or broken one."""
    given = metadata_of(new).get("resourceVersion", "")
    if not given or given == "0":
        if kind.unconditional_update:
            return False
        raise _version_error(kind, name, "0x0", "must be specified for an update")
    if not given.isascii() or not given.isdigit():
        raise _version_error(kind, name, f'"{given}"', "must be the resourceVersion of a stored object")
    if int(given) != revision:
        raise conflict(kind.storage.group, kind.plural, name)
    return True


def _version_error(kind: Kind, name: str, value: str, detail: str) -> ApiError:
    error = FieldError("metadata.resourceVersion", "FieldValueInvalid", f"Invalid value: {value}: {detail}")
    return invalid(kind.group, kind.kind, name, [error])
