"""The role of our own controllers, scheduler and GitOps engine: read and delete everything (garbage collection, emptying of
namespaces), write what they derive, and never hand out rights.

Roles can only add, so what they must not touch is left out by naming everything else: groups whose objects are credentials or
rights are not among those that controllers write.
Source: Kubernetes' ``bootstrappolicy/controller_policy.go``.
"""

from __future__ import annotations

from moorage.resources.kind import Document
from moorage.resources.registry import Registry
from moorage_tenants.authorisation.defaults.making import READ, cluster_role
from moorage_tenants.authorisation.rules import Rule

CONTROLLERS = "system:moorage:controllers"

_NOT_TOUCHED = frozenset({"moorage.io", "authentication.k8s.io", "authorization.k8s.io"})
"""Questions, tokens, and what is carried out as somebody."""
_NOT_REPLACED = frozenset({("", "secrets")})
"""Neither created nor replaced. Patches stay open: garbage collection takes owners and finalizers away."""
_NOT_CREATED = frozenset(
    {
        ("", "bindings"),
        ("", "nodes"),
        ("", "secrets"),
        ("apps", "deployments"),
        ("certificates.k8s.io", "certificatesigningrequests"),
        ("gitops.moorage.io", "repositories"),
        ("secrets.moorage.io", "sealedsecrets"),
        ("tenancy.moorage.io", "tenants"),
    }
)
_SIGNERS = tuple(
    f"kubernetes.io/{name}" for name in ("kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving")
)
_NOT_WRITTEN = frozenset({"rbac.authorization.k8s.io", "secrets.moorage.io", "admissionregistration.k8s.io"})
"""Groups of which controllers may only take objects away (and their owners and finalizers)."""


def controllers_role(registry: Registry) -> Document:
    """What controllers may, over the kinds that are served."""
    kept: dict[str, set[str]] = {}
    for kind in registry:
        if kind.group not in _NOT_TOUCHED and "delete" in kind.verbs:
            kept.setdefault(kind.group, set()).add(kind.plural)
    groups = tuple(sorted(kept))
    # Not "*": that would be exec, attach and port-forward too.
    rules = [
        Rule(("get", "patch", "update"), groups, ("*/status", "*/scale")),
        Rule(("update",), ("",), ("namespaces/finalize",)),
        Rule(("create",), ("",), ("pods/binding", "pods/eviction")),
        Rule(("sign",), ("certificates.k8s.io",), ("signers",), _SIGNERS),
    ]
    for group in groups:
        plurals = sorted(kept[group])
        rules.append(Rule((*READ, "delete", "deletecollection", "patch"), (group,), tuple(plurals)))
        if group in _NOT_WRITTEN:
            continue
        created = tuple(name for name in plurals if (group, name) not in _NOT_CREATED)
        replaced = tuple(name for name in plurals if (group, name) not in _NOT_REPLACED)
        rules += [Rule(("create",), (group,), created)] if created else []
        rules += [Rule(("update",), (group,), replaced)] if replaced else []
    return cluster_role(CONTROLLERS, rules)
