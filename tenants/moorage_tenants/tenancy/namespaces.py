"""Namespaces and their tenants: who makes which, what they are called, and which labels stay as they are.

A namespace's tenant is its label, so every way to write a namespace passes here: create, update, every form of patch,
``/status`` and ``/finalize`` alike (Capsule's CVE-2026-30963 was a subresource that did not).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.api.contracts import AdmissionRequest, Identity
from moorage.resources.kind import Document, FieldError
from moorage.resources.tenancy import TENANT, TENANT_LABEL, tenant_of
from moorage.resources.tenancy_objects import wanted_levels
from moorage.resources.tenancy_rules import is_platform_key, is_reserved
from moorage_tenants.tenancy.levels import LEVEL_LABELS, level_refusals
from moorage_tenants.tenancy.patterns import Patterns
from moorage_tenants.tenancy.people import Managers, is_platform, owned
from moorage_tenants.tenancy.policy import Policy, policy_in, tenant_policy
from moorage_tenants.tenancy.refusals import beyond, refuse

NAME_LABEL = "kubernetes.io/metadata.name"
_SCHEDULING = "scheduler.alpha.kubernetes.io"
_LABEL_PATH = f"metadata.labels[{TENANT_LABEL}]"


@dataclass(frozen=True, slots=True)
class _Writer:
    """What the writer of a namespace may: ``manages`` lifts all, ``platform`` all but the change of the tenant."""

    manages: bool
    platform: bool


class Namespaces:
    """The rules of Namespace objects."""

    def __init__(self, managers: Managers) -> None:
        self._managers = managers

    async def mutate(self, request: AdmissionRequest) -> None:
        """Give a new namespace its tenant, and every one of a tenant what its tenant's namespaces have."""
        document = request.document
        if document is None:
            return
        writer = await self._writer(request.identity)
        metadata = document.setdefault("metadata", {})
        labels = metadata.get("labels") or {}
        if labels.get(TENANT_LABEL) == "" and not (
            request.old and tenant_of(request.old["metadata"].get("labels") or {})
        ):
            del labels[TENANT_LABEL]  # nobody's, as without it
        if request.operation == "CREATE":
            if not writer.manages and not writer.platform and not tenant_of(metadata.get("labels") or {}):
                name = metadata.get("name") or metadata.get("generateName", "")
                chosen = _chosen(
                    [each for each in await owned(request.view, request.identity) if not each.locked], name
                )
                if chosen is not None:
                    metadata.setdefault("labels", {})[TENANT_LABEL] = chosen.name
        elif request.old is not None and not writer.manages:
            self._keep_tenant(request, metadata)
        policy = await tenant_policy(request.view, tenant_of(metadata.get("labels") or {}))
        if policy is not None:
            _furnish(policy, metadata, request.old)

    def _keep_tenant(self, request: AdmissionRequest, metadata: Document) -> None:
        """A replace that does not name the tenant keeps it; a write that takes it away is told so."""
        assert request.old is not None
        before = tenant_of(request.old["metadata"].get("labels") or {})
        labels = metadata.get("labels") or {}
        if before and TENANT_LABEL not in labels:
            metadata["labels"] = {**labels, TENANT_LABEL: before}
            request.warnings.append(f"the label {TENANT_LABEL}={before} is the platform's and was kept")

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What forbids the write of a namespace."""
        writer = await self._writer(request.identity)
        if request.document is None:
            return ()
        labels = request.document["metadata"].get("labels") or {}
        before = {} if request.old is None else request.old["metadata"].get("labels") or {}
        name, tenant = request.document["metadata"]["name"], tenant_of(labels)
        errors = await self._tenant_refusals(request, writer, tenant_of(before), tenant)
        if errors or writer.manages or writer.platform:
            return errors
        if request.old is None:
            errors += await self._name_refusals(request, name, tenant)
        policy = await tenant_policy(request.view, tenant)
        if policy is None:
            return errors
        return errors + _metadata_refusals(
            policy, request.document["metadata"], (request.old or {}).get("metadata") or {}
        )

    async def _writer(self, identity: Identity) -> _Writer:
        return _Writer(await self._managers.include(identity), is_platform(identity))

    async def _tenant_refusals(
        self, request: AdmissionRequest, writer: _Writer, before: str, after: str
    ) -> list[FieldError]:
        if before == after and request.old is not None:
            return []
        if writer.manages:
            return await _assignment_refusals(request, after)
        if request.old is not None:
            text = (
                f'the namespace belongs to tenant "{before}"' if before else "the namespace belongs to no tenant"
            ) + "; only an administrator of tenants may change that"
            return [refuse(_LABEL_PATH, text)]
        mine = await owned(request.view, request.identity)
        if not after:
            return [] if writer.platform or not mine else [refuse(_LABEL_PATH, _ask_which(mine))]
        policy = next((each for each in mine if each.name == after), None)
        if policy is None:
            yours = ", ".join(each.name for each in mine) or "none"
            text = f'User "{request.identity.name}" does not own tenant "{after}"; tenants that you own: {yours}'
            return [refuse(_LABEL_PATH, text)]
        if policy.locked:
            text = f'tenant "{after}" is suspended or marked for deletion: nothing can be made in it'
            return [refuse(_LABEL_PATH, text)]
        return []

    async def _name_refusals(self, request: AdmissionRequest, name: str, tenant: str) -> list[FieldError]:
        """Names that belong to the platform or to other tenants."""
        if not tenant:
            return []
        if is_reserved(name):
            text = "the name is reserved for the platform (default, kube-..., moorage-...); choose another"
            return [refuse("metadata.name", text)]
        for entry in await request.view.entries(TENANT, None):
            other = policy_in(entry)
            taken = name == other.name or (other.prefixed and name.startswith(f"{other.name}-"))
            # The longest name wins: blue-green owns blue-green-1 although blue asks for blue-...
            if other.name != tenant and taken and not _claims(tenant, name, other.name):
                text = f'the name belongs to tenant "{other.name}"; choose one that starts with "{tenant}-"'
                return [refuse("metadata.name", text)]
        policy = await tenant_policy(request.view, tenant)
        if policy is not None and policy.prefixed and not _named_after(tenant, name):
            text = (
                f'namespaces of tenant "{tenant}" are named "{tenant}" or "{tenant}-..." '
                f'(spec.namespaces.requirePrefix); try "{tenant}-{name}"'
            )
            return [refuse("metadata.name", text)]
        return []


def _named_after(tenant: str, name: str) -> bool:
    return name == tenant or name.startswith(f"{tenant}-")


def _claims(tenant: str, name: str, other: str) -> bool:
    """Whether ``tenant`` has the better right to ``name`` than ``other``, by the longer name."""
    return name != other and _named_after(tenant, name) and len(tenant) > len(other)


def _chosen(mine: Sequence[Policy], name: str) -> Policy | None:
    """The one tenant that a new namespace is meant for: the only one, or the one that it is named after."""
    if len(mine) == 1:
        return mine[0]
    named = [policy for policy in mine if _named_after(policy.name, name)]
    return max(named, key=lambda policy: len(policy.name), default=None)


def _ask_which(mine: Sequence[Policy]) -> str:
    """Why a namespace of somebody who owns tenants got none."""
    free = [each.name for each in mine if not each.locked]
    if not free:
        return f'tenant "{mine[0].name}" is suspended or marked for deletion: nothing can be made in it'
    first = free[0]
    return (
        f"you own the tenants {', '.join(free)}: say which one with the label {TENANT_LABEL}: {first}, "
        f'or name the namespace after it ("{first}-...")'
    )


async def _assignment_refusals(request: AdmissionRequest, tenant: str) -> list[FieldError]:
    """An administrator gives a namespace to a tenant: the tenant exists, and the namespace is not the platform's."""
    if not tenant:
        return []
    name = (request.document or {})["metadata"]["name"]
    if is_reserved(name):
        return [refuse(_LABEL_PATH, f'namespace "{name}" is the platform\'s own and belongs to no tenant')]
    policy = await tenant_policy(request.view, tenant)
    if policy is None:
        text = f'there is no tenant "{tenant}"; make it with: moorage tenants create {tenant}'
        return [refuse(_LABEL_PATH, text)]
    if "deletionTimestamp" in policy.tenant["metadata"]:
        return [refuse(_LABEL_PATH, f'tenant "{tenant}" is being deleted; choose another')]
    return []


def _furnish(policy: Policy, metadata: Document, old: Document | None) -> None:
    """Labels and annotations that every namespace of the tenant has, where they are missing."""
    labels = metadata.get("labels") or {}
    before = {} if old is None else old["metadata"].get("labels") or {}
    missing = {key: value for key, value in policy.namespace_labels.items() if key not in labels}
    for key, level in wanted_levels(policy.spec).items():
        if key not in labels:
            missing[key] = before.get(key, level)
    if missing:
        metadata["labels"] = {**labels, **missing}
    annotations = metadata.get("annotations") or {}
    added = {key: value for key, value in policy.namespace_annotations.items() if key not in annotations}
    if added:
        metadata["annotations"] = {**annotations, **added}


def _metadata_refusals(policy: Policy, new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    fixed = policy.namespace_labels
    for key, value in _changed(new.get("labels"), old.get("labels")):
        path = f"metadata.labels[{key}]"
        if key in LEVEL_LABELS:
            errors += level_refusals(policy, key, value, path)
        elif key in fixed:
            errors += _fixed(policy, path, fixed[key], value, "spec.namespaces.labels")
        elif key not in (TENANT_LABEL, NAME_LABEL):
            errors += _key_refusals(policy, path, key, policy.labels, "allowedLabels", is_platform_key(key))
    fixed = policy.namespace_annotations
    for key, value in _changed(new.get("annotations"), old.get("annotations")):
        path = f"metadata.annotations[{key}]"
        if key in fixed:
            errors += _fixed(policy, path, fixed[key], value, "spec.namespaces.annotations")
        elif not key.startswith("kubectl.kubernetes.io/"):
            prefix = key.rpartition("/")[0]
            own = prefix == "moorage.io" or prefix.endswith(".moorage.io") or prefix == _SCHEDULING
            errors += _key_refusals(policy, path, key, policy.annotations, "allowedAnnotations", own)
    for field in ("finalizers", "ownerReferences"):
        if (new.get(field) or []) != (old.get(field) or []):
            text = f'the {field} of a namespace are the platform\'s: tenant "{policy.name}" may not change them; leave them out'
            errors.append(refuse(f"metadata.{field}", text))
    return errors


def _changed(new: Mapping[str, str] | None, old: Mapping[str, str] | None) -> list[tuple[str, str | None]]:
    after, before = new or {}, old or {}
    return [(key, after.get(key)) for key in sorted({*after, *before}) if after.get(key) != before.get(key)]


def _fixed(policy: Policy, path: str, wanted: str, value: str | None, field: str) -> list[FieldError]:
    if value == wanted:
        return []
    text = f'every namespace of tenant "{policy.name}" has the value "{wanted}" here ({field}); leave it out'
    return [refuse(path, text)]


def _key_refusals(
    policy: Policy, path: str, key: str, allowed: Patterns | None, field: str, platform: bool
) -> list[FieldError]:
    """Keys that owners may set: those that are allowed by name, else all that mean nothing to the platform."""
    if (not platform) if allowed is None else (key in allowed):
        return []
    shown = "all but the platform's own (kubernetes.io/, k8s.io/, moorage.io/)" if allowed is None else allowed
    what = f"set {key} on its namespaces"
    return [beyond(path, policy.name, what, f"spec.namespaces.{field}", shown, "leave it out")]
