"""What leaves a row, beside the writes that the store's commit writes down itself.

Refusals always; of what was allowed: reads of Secrets, whatever acts inside a pod, reaches through one or reads its output,
whatever is done as somebody else, and requests to write that changed nothing or changed it elsewhere (tokens, dry runs).
Questions about rights leave none, nor do heartbeats.
"""

from __future__ import annotations

from moorage.api.contracts import Attributes
from moorage.resources.kind import ResourceKey
from moorage.store.audited import is_audited

READS = frozenset({"get", "list", "watch"})
REACHING = frozenset({"exec", "attach", "portforward", "proxy", "log"})
READ = frozenset({("", "secrets", ""), ("moorage.io", "audit", "verify")})
"""What is not only written but also read under the eyes of the audit."""
QUESTIONS = frozenset({"authorization.k8s.io", "authentication.k8s.io"})
CARRIERS = frozenset({("moorage.io", "transactions"), ("moorage.io", "batches")})
"""Requests whose members have rows of their own."""


def leaves_row(attributes: Attributes, code: int) -> bool:
    """Whether an allowed request that was answered with ``code`` is to be found in the audit."""
    if attributes.subresource in REACHING or attributes.identity.impersonator:
        return True
    if attributes.verb in READS:
        return (attributes.group, attributes.resource, attributes.subresource) in READ
    if attributes.group in QUESTIONS and attributes.resource.endswith("reviews"):
        return False
    if (attributes.group, attributes.resource) in CARRIERS and code < 400:
        return False
    resource = ResourceKey(attributes.group, attributes.resource)
    return is_audited(resource, attributes.subresource, attributes.identity.name)
