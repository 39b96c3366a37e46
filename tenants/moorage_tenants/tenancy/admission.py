"""The admission of tenants: finds the tenant that a write falls into and asks the rules of the kind that is written."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import AdmissionRequest, Authorizer
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.core.nodes import NODE
from moorage.resources.kind import Document, FieldError
from moorage.resources.tenancy import MANAGED_LABEL, TENANT, keeps_programs, service_account_namespace
from moorage_tenants.tenancy.furnishing import GUARDED
from moorage_tenants.tenancy.namespaces import Namespaces
from moorage_tenants.tenancy.objects import NETWORK_POLICIES, mutate_object, object_refusals, open_peers
from moorage_tenants.tenancy.people import Managers, is_platform
from moorage_tenants.tenancy.pods import PODS, mutate_pod, node_refusals, pod_refusals, template_of
from moorage_tenants.tenancy.policy import Policy, namespace_policy
from moorage_tenants.tenancy.ranks import rank_refusals
from moorage_tenants.tenancy.refusals import refuse
from moorage_tenants.tenancy.tenants import Tenants

_UNWATCHED = frozenset({"status", "scale", "binding"})
"""Subresources that change nothing which a tenant's rules are about."""


class TenancyAdmission:
    """Implements ``moorage.api.contracts.Admission``."""

    def __init__(self, authorizer: Authorizer) -> None:
        managers = Managers(authorizer)
        self._managers = managers
        self._namespaces = Namespaces(managers)
        self._tenants = Tenants(managers)

    async def mutate(self, request: AdmissionRequest) -> None:
        """Give namespaces their tenant, and pods and claims what their tenant's have."""
        kind, document = request.kind, request.document
        if kind.storage == NAMESPACE.storage:
            await self._namespaces.mutate(request)
        elif kind.storage == TENANT.storage:
            await self._tenants.mutate(request)
        elif kind.namespaced and document is not None and request.operation == "CREATE" and not request.subresource:
            policy = await namespace_policy(request.view, request.namespace)
            if policy is None:
                return
            if kind.storage == PODS:
                mutate_pod(policy, document)
            else:
                mutate_object(policy, kind.storage, document)

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What the tenant's rules have against the write."""
        kind = request.kind
        if kind.storage == TENANT.storage:
            return await self._tenants.validate(request)
        in_namespace = kind.namespaced
        if kind.storage == NAMESPACE.storage:
            errors = await self._namespaces.validate(request)
            if errors or request.operation == "CREATE":
                return errors
            policy = await namespace_policy(request.view, request.name)
        elif in_namespace:
            policy = await namespace_policy(request.view, request.namespace)
        else:
            return ()
        if policy is None:
            return ()
        if policy.locked and (errors := await self._lock_refusals(request, policy)):
            return errors
        return await self._object_refusals(request, policy) if in_namespace else ()

    async def _lock_refusals(self, request: AdmissionRequest, policy: Policy) -> list[FieldError]:
        if is_platform(request.identity) or await self._managers.include(request.identity, policy.name):
            return []
        if keeps_programs(policy.tenant) and (own := service_account_namespace(request.identity.name)):
            theirs = await namespace_policy(request.view, own)
            if theirs is not None and theirs.name == policy.name:
                return []
        marked = policy.spec.get("deletion") is not None
        why = "marked for deletion" if marked else "suspended"
        remedy = (
            f"moorage tenants restore {policy.name}"
            if marked
            else f'kubectl patch tenant {policy.name} --type=merge -p \'{{"spec":{{"suspended":false}}}}\''
        )
        text = (
            f'tenant "{policy.name}" is {why}: nothing can be changed in it; an administrator lifts that with: {remedy}'
        )
        return [refuse("", text)]

    async def _object_refusals(self, request: AdmissionRequest, policy: Policy) -> list[FieldError]:
        kind, new, old = request.kind, request.document, request.old
        errors: list[FieldError] = []
        if kind.storage in GUARDED:
            errors += await self._managed_refusals(request, policy)
        if new is None or request.subresource in _UNWATCHED:
            return errors
        found = _refusals(policy, request, new)
        if found and old is not None:
            # What was there before a rule came may stay; what is new or changed must keep the rule.
            before = set(_refusals(policy, request, old))
            found = [error for error in found if error not in before]
        errors += found
        errors += await _ranks(request, policy, new)
        if kind.storage == PODS and request.operation == "CREATE" and policy.selector:
            errors += await self._node(request, policy, new)
        if kind.storage == NETWORK_POLICIES and (policy.spec.get("network") or {}).get("isolation", True):
            self._warn(request, policy, new)
        return errors

    @staticmethod
    async def _node(request: AdmissionRequest, policy: Policy, pod: Document) -> list[FieldError]:
        name = (pod.get("spec") or {}).get("nodeName", "")
        if not name:
            return []
        entry = await request.view.get(NODE, "", name)
        return node_refusals(policy, pod, None if entry is None else entry.labels)

    @staticmethod
    def _warn(request: AdmissionRequest, policy: Policy, document: Document) -> None:
        for path in open_peers(policy, document):
            request.warnings.append(
                f"{path} selects by labels that other tenants can give to their namespaces too; to mean only your own, "
                f"add the label tenancy.moorage.io/tenant: {policy.name}"
            )

    async def _managed_refusals(self, request: AdmissionRequest, policy: Policy) -> list[FieldError]:
        """The platform's own objects in a tenant's namespace follow the Tenant, and nobody passes others off as such."""
        documents = (request.old, request.document)
        if not any(each and MANAGED_LABEL in (each["metadata"].get("labels") or {}) for each in documents):
            return []
        if is_platform(request.identity) or await self._managers.include(request.identity, policy.name):
            return []
        path = f"metadata.labels[{MANAGED_LABEL}]"
        text = (
            f'objects with this label follow tenant "{policy.name}" and are the platform\'s; what they say is changed by an '
            f"administrator: kubectl edit tenant {policy.name}"
        )
        return [refuse(path, text)]


async def _ranks(request: AdmissionRequest, policy: Policy, document: Document) -> list[FieldError]:
    """Where a pod, or what makes pods, comes to have a class."""
    key = request.kind.storage
    found = (document.get("spec") or {}, "spec") if key == PODS else template_of(key, document)
    if found is None:
        return []
    if request.old is not None:
        before = (request.old.get("spec") or {}, "spec") if key == PODS else template_of(key, request.old)
        if before is not None and before[0].get("priorityClassName") == found[0].get("priorityClassName"):
            return []
    return await rank_refusals(request.view, policy, *found)


def _refusals(policy: Policy, request: AdmissionRequest, document: Document) -> list[FieldError]:
    key = request.kind.storage
    if key == PODS:
        return pod_refusals(policy, document.get("spec") or {}, "spec")
    errors = object_refusals(policy, key, document)
    template = template_of(key, document)
    return errors + (pod_refusals(policy, *template) if template else [])
