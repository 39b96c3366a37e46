"""Rules of environment variables: names, and where their values come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names, quantity
from moorage.resources.checks import Errors, check_name, check_required_name
from moorage.resources.field_errors import invalid, not_found, not_supported, required

Part = Mapping[str, Any]

ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
RESOURCE_FIELDS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_CONVERTIBLE = frozenset(
    {*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "spec.hostNetwork", "status.phase"}
)
_CPU_DIVISORS = ("1m", "1")
_SIZE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")


def check_field_ref(errors: Errors, path: str, reference: Part, supported: Sequence[str]) -> None:
    """``fieldRef``: a field of the pod that is offered here, or one label or annotation of it."""
    if not reference.get("apiVersion"):
        errors.append(required(f"{path}.apiVersion"))
        return
    field: str = reference.get("fieldPath", "")
    if not field:
        errors.append(required(f"{path}.fieldPath"))
        return
    name, bracket, rest = field.partition("['")
    if bracket and rest.endswith("']"):
        key = rest[:-2]
        if name == "metadata.annotations":
            check_name(errors, path, key.lower(), names.qualified_name)
        elif name == "metadata.labels":
            check_name(errors, path, key, names.qualified_name)
        else:
            errors.append(invalid(path, name, "does not support subscript"))
    elif field not in _CONVERTIBLE:
        detail = f"error converting fieldPath: field label not supported: {field}"
        errors.append(invalid(f"{path}.fieldPath", field, detail))
    elif field not in supported:
        errors.append(not_supported(f"{path}.fieldPath", field, supported))


def check_resource_ref(errors: Errors, path: str, reference: Part, *, volume: bool) -> None:
    """``resourceFieldRef``: an amount of a container, and the unit that it is divided by."""
    resource: str = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not resource:
        errors.append(required(f"{path}.resource"))
    elif resource not in RESOURCE_FIELDS and not resource.startswith(_HUGE_PAGES):
        errors.append(not_supported(f"{path}.resource", resource, RESOURCE_FIELDS))
    divisor = quantity.canonical(reference.get("divisor", "0"))
    if divisor == "0" or not resource:
        return
    kind = resource.partition(".")[2]
    allowed = _CPU_DIVISORS if kind == "cpu" else _SIZE_DIVISORS
    if divisor not in allowed:
        spoken = "local ephemeral storage" if kind == "ephemeral-storage" else kind.partition("-")[0]
        listed = " and ".join(allowed) if kind == "cpu" else ", ".join(allowed)
        detail = f"only divisor's values {listed} are supported with the {spoken} resource"
        errors.append(invalid(f"{path}.divisor", resource, detail))


def check_key_ref(errors: Errors, path: str, reference: Part) -> None:
    """A key of a ConfigMap or Secret."""
    check_name(errors, f"{path}.name", reference.get("name", ""), names.dns_subdomain)
    check_required_name(errors, f"{path}.key", reference.get("key", ""), names.config_key)


def _check_file(errors: Errors, path: str, reference: Part) -> None:
    """A variable in a file of a volume (KEP-3721)."""
    if not reference.get("key"):
        errors.append(required(f"{path}.key"))
    elif problem := names.env_name(reference["key"]):
        errors.append(invalid(f"{path}.key", reference["key"], problem))
    check_required_name(errors, f"{path}.volumeName", reference.get("volumeName", ""), names.dns_label)
    where = reference.get("path", "")
    if not where:
        errors.append(required(f"{path}.path"))
    elif where.startswith("/"):
        errors.append(invalid(f"{path}.path", where, "must be a relative path"))
    elif ".." in where.split("/"):
        errors.append(invalid(f"{path}.path", where, "must not contain '..'"))


def _check_value_from(errors: Errors, path: str, variable: Part) -> None:
    source: Part = variable["valueFrom"]
    given = [name for name in _SOURCES if name in source] + (["fileKeyRef"] if "fileKeyRef" in source else [])
    for name in given:
        if name == "fieldRef":
            check_field_ref(errors, f"{path}.fieldRef", source[name], ENV_FIELDS)
        elif name == "resourceFieldRef":
            check_resource_ref(errors, f"{path}.resourceFieldRef", source[name], volume=False)
        elif name == "fileKeyRef":
            _check_file(errors, f"{path}.fileKeyRef", source[name])
        else:
            check_key_ref(errors, f"{path}.{name}", source[name])
    if not given:
        detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        errors.append(invalid(path, "", detail))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))


def check_env_files(errors: Errors, path: str, variables: Sequence[Part], volumes: Mapping[str, Part]) -> None:
    """Files of variables are in emptyDir volumes of the pod."""
    for index, variable in enumerate(variables):
        reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
        if not reference or not reference.get("volumeName"):
            continue
        here, name = f"{path}[{index}].valueFrom.fileKeyRef.volumeName", reference["volumeName"]
        if name not in volumes:
            errors.append(not_found(here, name))
        elif "emptyDir" not in volumes[name]:
            errors.append(invalid(here, name, "referenced volume must be of type emptyDir"))


def check_env(errors: Errors, path: str, variables: Sequence[Part]) -> None:
    """Each variable has a name, and a value or one source of it."""
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif problem := names.env_name(name):
            errors.append(invalid(f"{path}[{index}].name", name, problem))
        if "valueFrom" in variable:
            _check_value_from(errors, f"{path}[{index}].valueFrom", variable)


def check_env_from(errors: Errors, path: str, sources: Sequence[Part]) -> None:
    """Each source is one ConfigMap or one Secret."""
    for index, source in enumerate(sources):
        if prefix := source.get("prefix"):
            check_name(errors, f"{path}[{index}].prefix", prefix, names.env_name)
        given = [name for name in ("configMapRef", "secretRef") if name in source]
        for name in given:
            check_required_name(
                errors, f"{path}[{index}].{name}.name", source[name].get("name", ""), names.dns_subdomain
            )
        if not given:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(invalid(path, "", "may not have more than one field specified at a time"))
