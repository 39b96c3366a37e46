"""``--admission-control-config-file FILE``: what holds for namespaces without labels, and who is exempt.

Source: KEP-2579; ``PodSecurityConfiguration`` (pod-security.admission.config.k8s.io) in an ``AdmissionConfiguration``
(apiserver.config.k8s.io). Kubernetes' names, defaults and meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from moorage_tenants.configuration_fields import BadConfiguration, Fields, read_yaml
from moorage_tenants.podsecurity.levels import LATEST, LEVELS, MODES, PRIVILEGED, Policy, Standard, is_version

OPTION = "--admission-control-config-file"
PLUGIN = "PodSecurity"
KIND, VERSIONS = "AdmissionConfiguration", ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1alpha1")
OWN_KIND = "PodSecurityConfiguration"
OWN_VERSIONS = tuple(f"pod-security.admission.config.k8s.io/{version}" for version in ("v1", "v1beta1"))


@dataclass(frozen=True, slots=True)
class Exemptions:
    """Who and what no level holds for."""

    usernames: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PodSecurityConfig:
    """``defaults`` holds where a namespace has no label of a mode."""

    defaults: Policy = field(default_factory=Policy)
    exemptions: Exemptions = field(default_factory=Exemptions)


def read(path: Path) -> PodSecurityConfig:
    """From a file. Raises BadConfiguration."""
    document = read_yaml(path)
    try:
        return parse(document, lambda name: read_yaml(path.parent / name))
    except BadConfiguration as error:
        raise BadConfiguration(f"{path}: {error}") from None


def parse(document: object, read_file: Callable[[str], object]) -> PodSecurityConfig:
    """From a decoded document; ``read_file`` gives the document of a plugin's own file. Raises BadConfiguration."""
    root = Fields(document, "", {"apiVersion", "kind", "plugins"})
    if root.text("kind") != KIND or root.text("apiVersion") not in VERSIONS:
        raise BadConfiguration(f'must be of kind "{KIND}" and apiVersion "{VERSIONS[0]}"')
    found: PodSecurityConfig | None = None
    for number, value in enumerate(root.list("plugins")):
        plugin = Fields(value, f"plugins[{number}]", {"name", "path", "configuration"})
        if plugin.text("name") != PLUGIN:
            raise BadConfiguration(f'{plugin.path}.name: {plugin.text("name")!r} is not known here; only "{PLUGIN}" is')
        if found is not None:
            raise BadConfiguration(f'{plugin.path}.name: "{PLUGIN}" is given twice')
        own = read_file(plugin.text("path")) if plugin.text("path") else plugin.get("configuration")
        found = _own(Fields(own, f"{plugin.path}.configuration", {"apiVersion", "kind", "defaults", "exemptions"}))
    return found or PodSecurityConfig()


def _own(fields: Fields) -> PodSecurityConfig:
    if fields.text("kind") != OWN_KIND or fields.text("apiVersion") not in OWN_VERSIONS:
        raise BadConfiguration(f'{fields.path}: must be of kind "{OWN_KIND}" and apiVersion "{OWN_VERSIONS[0]}"')
    defaults = fields.fields("defaults", {name for mode in MODES for name in (mode, f"{mode}-version")})
    exempt = fields.fields("exemptions", {"usernames", "namespaces", "runtimeClasses"})
    return PodSecurityConfig(
        Policy(**{mode: _standard(defaults, mode) for mode in MODES}),
        Exemptions(
            frozenset(exempt.texts("usernames")),
            frozenset(exempt.texts("namespaces")),
            frozenset(exempt.texts("runtimeClasses")),
        ),
    )


def _standard(defaults: Fields, mode: str) -> Standard:
    level = defaults.text(mode) or PRIVILEGED
    if level not in LEVELS:
        raise BadConfiguration(f"{defaults.path}.{mode}: {level!r} must be one of {', '.join(LEVELS)}")
    version = defaults.text(f"{mode}-version") or LATEST
    if not is_version(version):
        raise BadConfiguration(f'{defaults.path}.{mode}-version: {version!r} must be "latest" or "v1.x"')
    return Standard(level, version)
