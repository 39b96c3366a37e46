"""Rules of a FlowSchema's rules: which subjects, and what they ask for.

Source: pkg/apis/flowcontrol/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_choice, check_name
from moorage.resources.field_errors import forbidden, invalid, not_supported, required

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
ALL = "*"

Part = Mapping[str, Any]


def check_rules(errors: Errors, path: str, rules: Sequence[Part]) -> None:
    """Each rule has subjects, and resources or paths."""
    for number, rule in enumerate(rules):
        where = f"{path}[{number}]"
        subjects = rule.get("subjects") or ()
        if not subjects:
            errors.append(required(f"{where}.subjects", "subjects must contain at least one value"))
        for index, subject in enumerate(subjects):
            _check_subject(errors, f"{where}.subjects[{index}]", subject)
        resources, paths = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
        if not resources and not paths:
            errors.append(required(where, "at least one of resourceRules and nonResourceRules has to be non-empty"))
        for index, part in enumerate(resources):
            _check_resources(errors, f"{where}.resourceRules[{index}]", part)
        for index, part in enumerate(paths):
            _check_paths(errors, f"{where}.nonResourceRules[{index}]", part)


_FIELDS = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}


def _check_subject(errors: Errors, path: str, subject: Part) -> None:
    kind = subject.get("kind", "")
    check_choice(errors, f"{path}.kind", kind, ("Group", "ServiceAccount", "User"))
    field = _FIELDS.get(kind)
    if field is None:
        return
    for other in _FIELDS.values():
        if other != field and subject.get(other) is not None:
            detail = f"{other} is forbidden when subject kind is not '{other[0].upper()}{other[1:]}'"
            errors.append(forbidden(f"{path}.{other}", detail))
    part = subject.get(field)
    if part is None:
        errors.append(required(f"{path}.{field}", f"{field} is required when subject kind is '{kind}'"))
        return
    if not part.get("name"):
        errors.append(required(f"{path}.{field}.name"))
    elif kind == "ServiceAccount" and part["name"] != ALL:
        check_name(errors, f"{path}.{field}.name", part["name"], names.dns_subdomain)
    if kind == "ServiceAccount":
        if not part.get("namespace"):
            errors.append(required(f"{path}.{field}.namespace", "must specify namespace for service account"))
        else:
            check_name(errors, f"{path}.{field}.namespace", part["namespace"], names.dns_label)


def _check_resources(errors: Errors, path: str, part: Part) -> None:
    _check_verbs(errors, path, part)
    for field in ("apiGroups", "resources"):
        _check_all_alone(errors, f"{path}.{field}", part.get(field) or ())
    namespaces = part.get("namespaces") or ()
    if not namespaces and not part.get("clusterScope"):
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(required(f"{path}.namespaces", detail))
    elif ALL in namespaces:
        _check_all_alone(errors, f"{path}.namespaces", namespaces)
    else:
        for index, name in enumerate(namespaces):
            check_name(errors, f"{path}.namespaces[{index}]", name, names.dns_label)


def _check_paths(errors: Errors, path: str, part: Part) -> None:
    _check_verbs(errors, path, part)
    urls = part.get("nonResourceURLs") or ()
    _check_all_alone(errors, f"{path}.nonResourceURLs", urls)
    for index, url in enumerate(urls):
        if url == ALL:
            continue
        where = f"{path}.nonResourceURLs[{index}]"
        if not url.startswith("/"):
            errors.append(invalid(where, url, "must start with slash"))
        elif " " in url:
            errors.append(invalid(where, url, "must not contain white-space"))
        elif "//" in url:
            errors.append(invalid(where, url, "must not contain double slash"))
        elif "*" in url[:-1] or (url.endswith("*") and not url.endswith("/*")):
            errors.append(invalid(where, url, "wildcard can only do suffix matching"))


def _check_verbs(errors: Errors, path: str, part: Part) -> None:
    verbs = part.get("verbs") or ()
    _check_all_alone(errors, f"{path}.verbs", verbs)
    unknown = [verb for verb in verbs if verb != ALL and verb not in VERBS]
    if unknown:
        errors.append(not_supported(f"{path}.verbs", unknown, VERBS))


def _check_all_alone(errors: Errors, path: str, values: Sequence[str]) -> None:
    if not values:
        errors.append(required(path))
    elif ALL in values and len(values) > 1:
        errors.append(invalid(path, list(values), "if '*' is present, must not specify others"))
