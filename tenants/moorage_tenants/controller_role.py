"""What controllers, scheduler and GitOps engine may: read and delete everything (garbage collection, emptying of
namespaces), write what they derive, and never hand out rights.

Source: Kubernetes' bootstrap policy (``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go``).
"""

from __future__ import annotations

from moorage.api.contracts import Attributes
from moorage_tenants.roles import OWN_GROUP, READ_VERBS

_CREATED = frozenset(
    {
        ("", "pods"),
        ("", "events"),
        ("events.k8s.io", "events"),
        ("", "serviceaccounts"),
        ("", "configmaps"),
        ("", "namespaces"),
        ("", "endpoints"),
        ("discovery.k8s.io", "endpointslices"),
        ("coordination.k8s.io", "leases"),
        ("apps", "replicasets"),
        ("apps", "controllerrevisions"),
        ("batch", "jobs"),
        ("gitops.moorage.io", "applications"),
    }
)
_POD_SUBRESOURCES = frozenset({"binding", "eviction"})
_NOT_REPLACED = frozenset({("", "secrets")})
"""Neither created nor replaced by a controller. Patches stay open: garbage collection takes owners and finalizers away."""


class ControllerRole:
    """The role of group ``system:controllers``."""

    async def why_not(self, attributes: Attributes) -> str | None:
        """None where a controller may do this."""
        return None if _may(attributes) else ""


def _may(attributes: Attributes) -> bool:
    if attributes.path or attributes.group == OWN_GROUP:
        return False
    resource = (attributes.group, attributes.resource)
    verb = attributes.verb
    if attributes.subresource:
        if resource == ("", "pods") and attributes.subresource in _POD_SUBRESOURCES:
            return verb == "create"
        return attributes.subresource in {"status", "scale", "finalize"} and verb in {"get", "update", "patch"}
    if verb in READ_VERBS or verb in {"delete", "deletecollection"}:
        return True
    if verb == "patch":
        return True
    if verb == "update":
        return resource not in _NOT_REPLACED
    return verb == "create" and resource in _CREATED
