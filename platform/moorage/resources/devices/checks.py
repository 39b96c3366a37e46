"""Rules that the kinds of devices share: names, pools, tolerations, opaque configuration, lists without repetition."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from moorage.resources import names
from moorage.resources.checks import Errors, check_name
from moorage.resources.core.persistent_volume_rules import check_csi_driver
from moorage.resources.field_errors import duplicate, invalid, not_supported, required, too_long, too_many
from moorage.resources.label_selector import label_errors

Part = Mapping[str, Any]

MOST_REQUESTS = MOST_CONFIGURATIONS = MOST_SELECTORS = 32
LONGEST_POOL = 253
LONGEST_DOMAIN, LONGEST_IDENTIFIER = 63, 32
LONGEST_PARAMETERS = LONGEST_EXPRESSION = 10 * 1024
MOST_BINDING_CONDITIONS = 4
EFFECTS = ("NoExecute", "NoSchedule", "None")
OPERATORS = ("Equal", "Exists")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_UID_FORM = (
    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal "
    "characters"
)


def check_items(
    errors: Errors,
    path: str,
    items: Sequence[Any],
    limit: int,
    check: Callable[[Errors, str, Any], None],
    key: Callable[[Any], Any] | None = None,
) -> None:
    """At most ``limit`` items, each sound; where ``key`` tells them apart, none twice. A list that is too long is not looked
    at any further.
    """
    if len(items) > limit:
        errors.append(too_many(path, len(items), limit))
        return
    for index, item in enumerate(items):
        check(errors, f"{path}[{index}]", item)
    seen: set[Any] = set()
    for index, item in enumerate(items if key else ()):
        assert key is not None
        found = key(item)
        if found in seen:
            errors.append(duplicate(f"{path}[{index}]", found))
        seen.add(found)


def check_label_name(errors: Errors, path: str, name: str) -> None:
    """A qualified name that must be there: keys of taints, types of conditions."""
    check_name(errors, path, name, names.qualified_name)


def check_pool(errors: Errors, path: str, name: str) -> None:
    """Segments that are DNS subdomains, with slashes between them."""
    if not name:
        errors.append(required(path))
        return
    if len(name) > LONGEST_POOL:
        errors.append(too_long(path, LONGEST_POOL))
    for part in name.split("/"):
        check_name(errors, path, part, names.dns_subdomain)


def check_qualified(errors: Errors, path: str, name: str, *, fully: bool = False) -> None:
    """``[domain/]identifier``; ``fully``: with the domain."""
    domain, slash, identifier = name.rpartition("/")
    if "/" in domain:
        errors.append(invalid(path, name, "must not contain more than one slash"))
        return
    if slash and not domain:
        errors.append(invalid(path, "", "the domain must not be empty"))
    elif slash:
        check_csi_driver(errors, path, domain)
    if slash and not identifier:
        errors.append(invalid(path, "", "the name must not be empty"))
    else:
        if len(identifier) > LONGEST_IDENTIFIER:
            errors.append(too_long(path, LONGEST_IDENTIFIER))
        check_name(errors, path, identifier, names.c_identifier)
    if fully and not slash:
        detail = "a fully qualified name must be a domain and a name separated by a slash"
        errors.append(invalid(path, name, detail))


def check_uid(errors: Errors, path: str, uid: str) -> None:
    """A UUID in its usual form."""
    if not _UID(uid):
        errors.append(invalid(path, uid, _UID_FORM))


def check_toleration(errors: Errors, path: str, toleration: Part) -> None:
    """Taints of devices that are put up with."""
    if key := toleration.get("key"):
        check_label_name(errors, f"{path}.key", key)
    operator, value = toleration.get("operator", ""), toleration.get("value", "")
    if operator not in OPERATORS:
        errors.append(not_supported(f"{path}.operator", operator, OPERATORS))
    elif operator == "Exists" and value:
        errors.append(invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        check_name(errors, f"{path}.value", value, names.label_value)
    if (effect := toleration.get("effect")) and effect not in EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, EFFECTS))


def check_selector(errors: Errors, path: str, selector: Part) -> None:
    """A CEL expression over a device. It is kept, not compiled: who allocates devices evaluates it."""
    expression = (selector.get("cel") or {}).get("expression")
    if expression is None:
        errors.append(required(f"{path}.cel"))
    elif not expression:
        errors.append(required(f"{path}.cel.expression"))
    elif len(expression.encode()) > LONGEST_EXPRESSION:
        errors.append(too_long(f"{path}.cel.expression", LONGEST_EXPRESSION))


def check_selectors(errors: Errors, path: str, selectors: Sequence[Part]) -> None:
    """The selectors of a class or of a request."""
    check_items(errors, path, selectors, MOST_SELECTORS, check_selector)


def check_raw(errors: Errors, path: str, value: Any, limit: int) -> None:
    """An object of any form, of at most ``limit`` bytes."""
    if value is None:
        errors.append(required(path))
    elif len(orjson.dumps(value)) > limit:
        errors.append(too_long(path, limit))
    elif not isinstance(value, Mapping):
        errors.append(invalid(path, "<value omitted>", "must be a valid JSON object"))


def check_opaque(errors: Errors, path: str, configuration: Part) -> None:
    """What a driver is told, in its own terms."""
    opaque = configuration.get("opaque")
    if opaque is None:
        errors.append(required(f"{path}.opaque"))
        return
    check_csi_driver(errors, f"{path}.opaque.driver", opaque.get("driver", ""))
    check_raw(errors, f"{path}.opaque.parameters", opaque.get("parameters"), LONGEST_PARAMETERS)


def check_binding(errors: Errors, path: str, part: Part) -> None:
    """Conditions that a device must, and must not, meet before a pod is bound (KEP-5007)."""
    wanted: Sequence[str] = part.get("bindingConditions") or ()
    failures: Sequence[str] = part.get("bindingFailureConditions") or ()
    for name, given in (("bindingConditions", wanted), ("bindingFailureConditions", failures)):
        check_items(errors, f"{path}.{name}", given, MOST_BINDING_CONDITIONS, check_label_name, str)
    for index, condition in enumerate(failures):
        if condition in wanted:
            detail = "bindingFailureConditions must not overlap with bindingConditions"
            errors.append(invalid(f"{path}.bindingFailureConditions[{index}]", condition, detail))
    if failures and not wanted:
        detail = "bindingConditions are required to use bindingFailureConditions"
        errors.append(invalid(f"{path}.bindingConditions", list(wanted), detail))
    if wanted and not failures:
        detail = "bindingFailureConditions are required to use bindingConditions"
        errors.append(invalid(f"{path}.bindingFailureConditions", list(failures), detail))


def check_template_metadata(errors: Errors, path: str, metadata: Part) -> None:
    """What objects made from a template are labelled with."""
    errors.extend(label_errors(f"{path}.labels", metadata.get("labels") or {}))
