"""Verbs, and the sentences of refusals, which are Kubernetes' (``apiserver/pkg/endpoints/handlers/responsewriters``)."""

from __future__ import annotations

from moorage.api.contracts import Attributes

READ_VERBS = frozenset({"get", "list", "watch"})
OWN_GROUP = "moorage.io"


def object_name(attributes: Attributes) -> str:
    """The name of the object that is asked for: a create has it in its document only."""
    if attributes.name or attributes.document is None:
        return attributes.name
    metadata = attributes.document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def refusal(attributes: Attributes, why: str = "") -> str:
    """Kubernetes' sentence, with the reason after it."""
    user, verb = attributes.identity.name, attributes.verb
    if attributes.path:
        text = f'User "{user}" cannot {verb} path "{attributes.path}"'
    else:
        resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
        where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
        text = f'User "{user}" cannot {verb} resource "{resource}" in API group "{attributes.group}" {where}'
    return f"{text}: {why}" if why else text
