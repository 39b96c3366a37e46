"""A container's command and environment: ``$(VAR)`` expansion, ``envFrom`` and ``valueFrom``. Pure.

Source: API reference, EnvVar and EnvFromSource: ``$(NAME)`` of a known name is replaced, of an unknown one is kept,
``$$`` is one ``$``.
"""

from __future__ import annotations

import base64
import re
from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from moorage_agent.pods import env_files, fields

Pod = Mapping[str, Any]

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


LONGEST_STRING = 32 * 4096
LARGEST_ENVIRONMENT = 2 * 2**20
"""Bytes of one argument or variable with its name, and of all with their pointers (a quarter of the stack's usual limit)."""


class ConfigError(Exception):
    """A container cannot be made as its spec says. The text is Kubernetes' message; it never holds a secret's value."""


class Sources(Protocol):
    """ConfigMaps and Secrets of the pod's namespace, as they were read for this start."""

    def config_map(self, name: str) -> Mapping[str, Any] | None:
        """The object, or None where there is none."""
        ...

    def secret(self, name: str) -> Mapping[str, Any] | None:
        """The object, or None where there is none."""
        ...

    def file(self, volume: str, path: str) -> env_files.Assignments | None:
        """A file of one of the pod's volumes, or None where there is none."""
        ...


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace references to ``variables``."""

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return variables.get(name, match[0])

    return _REFERENCE.sub(replaced, text)


def environment(
    pod: Pod,
    container: Mapping[str, Any],
    sources: Sources,
    facts: fields.Facts,
    services: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The variables in order: ``envFrom``, then ``env``, which wins; ``services`` fill in what is left. Raises ConfigError."""
    known = services or {}
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        variables.update({prefix + name: value for name, value in _all_of(source, sources, pod).items()})
    for entry in container.get("env") or ():
        if entry.get("valueFrom"):
            value = _value_from(entry["valueFrom"], pod, container, sources, facts)
            if value is None:
                continue
            variables[entry["name"]] = value
        else:
            variables[entry["name"]] = expand(entry.get("value") or "", ChainMap(variables, dict(known)))
    return {**known, **variables}


def excess(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """Why the kernel will not start a program with so much (execve(2)), "" where it will. The engine says it in the container's
    log only, where nobody looks for it.
    """
    text = "argument list too long: "
    for name, value in variables.items():
        if len(f"{name}={value}".encode()) >= LONGEST_STRING:
            return f"{text}environment variable {name} is longer than the {LONGEST_STRING} bytes that the kernel takes"
    if any(len(word.encode()) >= LONGEST_STRING for word in command):
        return f"{text}a word of the command is longer than the {LONGEST_STRING} bytes that the kernel takes"
    whole = sum(len(name) + len(value.encode()) + 10 for name, value in variables.items())
    if whole + sum(len(word.encode()) + 9 for word in command) > LARGEST_ENVIRONMENT:
        return f"{text}command and environment are larger than the {LARGEST_ENVIRONMENT} bytes that the kernel takes"
    return ""


def arguments(words: Sequence[str] | None, variables: Mapping[str, str]) -> list[str] | None:
    """``command`` or ``args`` with their references replaced; None where the image's own is meant."""
    return [expand(word, variables) for word in words] if words else None


def decoded(document: Mapping[str, Any]) -> dict[str, bytes]:
    """All entries of a ConfigMap or Secret as bytes."""
    if document.get("kind") == "Secret":
        return {name: base64.b64decode(value) for name, value in (document.get("data") or {}).items()}
    result = {name: value.encode("utf-8") for name, value in (document.get("data") or {}).items()}
    result.update({name: base64.b64decode(value) for name, value in (document.get("binaryData") or {}).items()})
    return result


def _all_of(source: Mapping[str, Any], sources: Sources, pod: Pod) -> dict[str, str]:
    if source.get("configMapRef"):
        reference, kind, find = source["configMapRef"], "configmap", sources.config_map
    else:
        reference, kind, find = source["secretRef"], "secret", sources.secret
    found = find(reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{kind} "{reference["name"]}" not found')
    where = f"{kind} {pod['metadata']['namespace']}/{reference['name']}"
    return {name: _text(value, name, where) for name, value in _texts(found).items()}


def _texts(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Entries that variables may be made of: of a ConfigMap, those in ``data`` only."""
    return decoded({name: value for name, value in document.items() if name != "binaryData"})


def _text(value: bytes, name: str, where: str) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: key {name} is not UTF-8 text, so no variable can hold it") from None
    if "\0" in text:
        raise ConfigError(f"{where}: key {name} holds a NUL byte, so no variable can hold it")
    return text


def _value_from(
    source: Mapping[str, Any], pod: Pod, container: Mapping[str, Any], sources: Sources, facts: fields.Facts
) -> str | None:
    """The value, or None where an optional reference is missing."""
    if source.get("fieldRef"):
        return fields.field(pod, source["fieldRef"]["fieldPath"], facts)
    if source.get("resourceFieldRef"):
        return fields.resource(pod, source["resourceFieldRef"], container, facts)
    if source.get("fileKeyRef"):
        return _from_file(source["fileKeyRef"], sources)
    if source.get("configMapKeyRef"):
        reference, kind, find = source["configMapKeyRef"], "ConfigMap", sources.config_map
    elif source.get("secretKeyRef"):
        reference, kind, find = source["secretKeyRef"], "Secret", sources.secret
    else:
        raise ConfigError(f"unsupported source of a variable's value: {', '.join(source)}")
    found = find(reference["name"])
    entries = _texts(found) if found is not None else {}
    if found is None or reference["key"] not in entries:
        if reference.get("optional"):
            return None
        if found is None:
            raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
        where = f"{pod['metadata']['namespace']}/{reference['name']}"
        raise ConfigError(f"couldn't find key {reference['key']} in {kind} {where}")
    where = f"{kind.lower()} {pod['metadata']['namespace']}/{reference['name']}"
    return _text(entries[reference["key"]], reference["key"], where)


def _from_file(reference: Mapping[str, Any], sources: Sources) -> str | None:
    path, key = str(reference["path"]), str(reference["key"])
    found = sources.file(str(reference["volumeName"]), path)
    try:
        value = found.value_of(key) if found is not None else ""
    except env_files.FileError as error:
        raise ConfigError(f'couldn\'t parse environment variable file "{path}": {error}') from error
    if value:
        return value
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigError(f'environment variable file "{path}" not found in volume "{reference["volumeName"]}"')
    raise ConfigError(f'environment variable key "{key}" not found in file "{path}"')


def files(container: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(volume, path) of the files that a container's variables come from."""
    given = (entry.get("valueFrom") or {} for entry in container.get("env") or ())
    return {(one["fileKeyRef"]["volumeName"], one["fileKeyRef"]["path"]) for one in given if one.get("fileKeyRef")}


def references(container: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(``configmap`` or ``secret``, name) of everything that a container's environment refers to."""
    found: set[tuple[str, str]] = set()
    for source in container.get("envFrom") or ():
        for field, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
            if source.get(field):
                found.add((kind, source[field]["name"]))
    for entry in container.get("env") or ():
        source = entry.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")):
            if source.get(field):
                found.add((kind, source[field]["name"]))
    return found
