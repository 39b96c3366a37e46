"""The admission of the standards: pods are refused, makers of pods are warned, the audit is told of both, and namespaces
what they would forbid.

The messages are those of Kubernetes' ``PodSecurity`` plugin. A tenant sets the least that its namespaces ask for, whatever
their labels say; whom the server's configuration exempts, neither binds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api.contracts import AdmissionRequest, View
from moorage.api.errors import invalid
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.kind import Document, FieldError
from moorage.resources.printing import at
from moorage.resources.tenancy import TENANT, tenant_of
from moorage.resources.tenancy_rules import port_range
from moorage_tenants.podsecurity.configuration import PodSecurityConfig
from moorage_tenants.podsecurity.evaluation import details, violations
from moorage_tenants.podsecurity.existing import warnings_about_pods
from moorage_tenants.podsecurity.levels import MODES, PREFIX, PRIVILEGED, Policy, Standard, policy_of, rank
from moorage_tenants.podsecurity.wording import Part, containers

_PODS, _NAMESPACES = ("", "pods"), ("", "namespaces")
_IGNORED = frozenset({"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status", "scale"})
"""Parts of a pod that say nothing of what it may do."""
_TEMPLATES: Mapping[tuple[str, str], str] = {
    ("", "podtemplates"): "template",
    ("", "replicationcontrollers"): "spec.template",
    ("apps", "deployments"): "spec.template",
    ("apps", "replicasets"): "spec.template",
    ("apps", "statefulsets"): "spec.template",
    ("apps", "daemonsets"): "spec.template",
    ("batch", "jobs"): "spec.template",
    ("batch", "cronjobs"): "spec.jobTemplate.spec.template",
}
"""Kinds that make pods, and where they say which."""
_SECCOMP = "seccomp.security.alpha.kubernetes.io/"
_NO_CONFIG = PodSecurityConfig()


class PodSecurity:
    """Implements ``moorage.api.contracts.Admission``."""

    def __init__(self, config: PodSecurityConfig = _NO_CONFIG) -> None:
        self._defaults = config.defaults
        self._exempt = config.exemptions

    async def mutate(self, request: AdmissionRequest) -> None:
        """Nothing to change."""

    async def validate(self, request: AdmissionRequest) -> list[FieldError]:
        """Refuse pods; warn of templates and of levels that pods do not meet. Raises ApiError 422 for broken labels."""
        document, key = request.document, (request.kind.group, request.kind.plural)
        if document is None:
            return []
        if key == _PODS:
            return await self._pod(request, document)
        if key == _NAMESPACES and not request.subresource:
            await self._namespace(request, document)
        elif key in _TEMPLATES and not request.subresource:
            await self._template(request, at(document, _TEMPLATES[key], None))
        return []

    async def _pod(self, request: AdmissionRequest, pod: Document) -> list[FieldError]:
        if request.subresource in _IGNORED or (request.old is not None and not _matters(pod, request.old)):
            return []
        if self._lets(request, pod.get("spec")):
            return []
        policy, ports = await demands(request.view, request.namespace, self._defaults)
        if policy.asks_nothing:
            return []
        metadata, spec = pod["metadata"], without_ports(pod.get("spec") or {}, ports)
        if found := violations(policy.enforce, metadata, spec):
            text = f'violates PodSecurity "{policy.enforce}": {details(found)}'
            return [FieldError("", "FieldValueForbidden", text)]
        if policy.enforce.level != PRIVILEGED:
            request.annotations[f"{PREFIX}enforce-policy"] = str(policy.enforce)
        _note(request, policy.audit, metadata, spec)
        _warn(request, policy.warn, metadata, spec)
        return []

    async def _template(self, request: AdmissionRequest, template: Part | None) -> None:
        if template is not None and not self._lets(request, template.get("spec")):
            policy, ports = await demands(request.view, request.namespace, self._defaults)
            metadata, spec = template.get("metadata") or {}, without_ports(template.get("spec") or {}, ports)
            _note(request, policy.audit, metadata, spec)
            _warn(request, policy.warn, metadata, spec)

    async def _namespace(self, request: AdmissionRequest, namespace: Document) -> None:
        new, errors = policy_of(at(namespace, "metadata.labels", {}), self._defaults)
        old, known = Policy(), list[FieldError]()
        if request.old is not None:
            old, known = policy_of(at(request.old, "metadata.labels", {}), self._defaults)
        if errors and errors != known:
            raise invalid("", "Namespace", request.name, errors)
        if request.name in self._exempt.namespaces:
            if new != old and not new.asks_nothing:
                text = f"enforce={new.enforce}, audit={new.audit}, warn={new.warn}"
                _tell(
                    request,
                    f'namespace "{request.name}" is exempt from Pod Security, and the policy ({text}) will be ignored',
                )
            return
        if request.old is None or not _tightens(old.enforce, new.enforce):
            return
        for warning in await warnings_about_pods(request.view, request.name, new.enforce):
            _tell(request, warning)

    def _lets(self, request: AdmissionRequest, spec: Part | None) -> bool:
        """Whether no level holds for this pod; the audit is told why."""
        why = ""
        if request.namespace in self._exempt.namespaces:
            why = "namespace"
        elif request.identity.name in self._exempt.usernames:
            why = "user"
        elif self._exempt.runtime_classes and (spec or {}).get("runtimeClassName") in self._exempt.runtime_classes:
            why = "runtimeClass"
        if why:
            request.annotations[f"{PREFIX}exempt"] = why
        return bool(why)


async def demands(view: View, namespace: str, defaults: Policy) -> tuple[Policy, Sequence[range]]:
    """What a namespace and its tenant ask of pods, and the ports of a node that the tenant may have."""
    entry = await view.get(NAMESPACE, "", namespace)
    if entry is None:
        return defaults, ()
    policy, _ = policy_of(entry.labels, defaults)
    tenant = tenant_of(entry.labels)
    found = await view.get(TENANT, "", tenant) if tenant else None
    if found is None:
        return policy, ()
    spec = found.document().get("spec") or {}
    levels = spec.get("podSecurity") or {}
    floor, _ = policy_of({f"{PREFIX}{mode}": levels[mode] for mode in MODES if levels.get(mode)})
    texts = (spec.get("hostPorts") or {}).get("allowed") or ()
    return policy.at_least(floor), [ports for text in texts if (ports := port_range(text)) is not None]


def without_ports(spec: Part, allowed: Sequence[range]) -> Part:
    """``spec`` without the host ports that are allowed: the standards know of a list of such ports, Kubernetes' labels do not
    ("Pod Security Standards", Baseline, Host Ports).
    """
    if not allowed or not any(port.get("hostPort") for each in containers(spec) for port in each.get("ports") or ()):
        return spec
    changed = dict(spec)
    for name in ("initContainers", "containers", "ephemeralContainers"):
        if spec.get(name):
            changed[name] = [{**each, "ports": _ports(each, allowed)} for each in spec[name]]
    return changed


def _ports(container: Part, allowed: Sequence[range]) -> list[Part]:
    return [
        port for port in container.get("ports") or () if not any(port.get("hostPort", 0) in ports for ports in allowed)
    ]


def _tightens(old: Standard, new: Standard) -> bool:
    """Whether pods that were fine may be so no longer."""
    if new == old or new.level == PRIVILEGED:
        return False
    return not (new.version == old.version and rank(new.level) <= rank(old.level))


def _note(request: AdmissionRequest, standard: Standard, metadata: Part, spec: Part) -> None:
    """What the audit is told of a pod, or of what makes pods, that is let in."""
    if found := violations(standard, metadata, spec):
        request.annotations[f"{PREFIX}audit-violations"] = f'would violate PodSecurity "{standard}": {details(found)}'


def _warn(request: AdmissionRequest, standard: Standard, metadata: Part, spec: Part) -> None:
    if found := violations(standard, metadata, spec):
        _tell(request, f'would violate PodSecurity "{standard}": {details(found)}')


def _tell(request: AdmissionRequest, warning: str) -> None:
    # A write that met another one is planned again, and would be warned of again.
    if warning not in request.warnings:
        request.warnings.append(warning)


def _matters(new: Document, old: Document) -> bool:
    """Whether an update touches what the standards look at: images, and containers that were added."""
    return _facts(new) != _facts(old)


def _facts(pod: Document) -> list[Any]:
    spec: Part = pod.get("spec") or {}
    annotations: Mapping[str, str] = at(pod, "metadata.annotations", {})
    images = [
        [(each.get("name"), each.get("image")) for each in spec.get(name) or ()]
        for name in ("containers", "initContainers", "ephemeralContainers")
    ]
    return [sorted(item for item in annotations.items() if _SECCOMP in item[0]), *images]
