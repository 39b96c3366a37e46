"""What a personal access token may be used for: a part of what its owner may do, never more.

A scope is an action (``read``, ``write``, ``git``, ``git:read``) or a place (``namespace:NAME``). Actions add up; places, where
any are named, are the only ones. A token with places and no action may do there what its owner may. ``git`` is for the Git
host: there, and only there, it stands for ``write`` (``for_git``), so that a leaked push token is of no use at the API.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from moorage.api.contracts import Attributes, Identity

EXTRA = "tokens.moorage.io/scopes"
"""Where an identity carries its scopes (``Identity.extra``)."""
READ, WRITE, GIT, GIT_READ, NAMESPACE = "read", "write", "git", "git:read", "namespace:"
ACTIONS = (READ, WRITE, GIT, GIT_READ)

_READ_VERBS = frozenset({"get", "list", "watch"})
_STREAMS = frozenset({"exec", "attach", "portforward", "proxy"})
"""Subresources that act although the verb of a WebSocket is ``get``."""
_QUESTIONS = frozenset({"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"})
_EACH_BY_ITSELF = frozenset({"transactions", "batches"})
_REPOSITORIES = ("gitops.moorage.io", "repositories")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def problem(scope: str) -> str | None:
    """What is wrong with a scope's text, or None."""
    if scope in ACTIONS or (scope.startswith(NAMESPACE) and _LABEL.fullmatch(scope.removeprefix(NAMESPACE))):
        return None
    return f'"{scope}": must be one of {", ".join(ACTIONS)} or namespace:NAME'


def scopes_of(identity: Identity) -> Sequence[str]:
    """The scopes of the token that ``identity`` came with; empty for the whole identity."""
    return identity.extra.get(EXTRA, ())


def permits(scopes: Sequence[str], attributes: Attributes) -> bool:
    """Whether a token with ``scopes`` may be used for this; asked before what its owner may."""
    if not scopes:
        return True
    if attributes.path:
        return attributes.verb == "get"
    if attributes.resource in _QUESTIONS:
        return True
    places = [scope.removeprefix(NAMESPACE) for scope in scopes if scope.startswith(NAMESPACE)]
    actions = [scope for scope in scopes if not scope.startswith(NAMESPACE)]
    if attributes.group == "moorage.io" and attributes.resource in _EACH_BY_ITSELF:
        return not actions or WRITE in actions
    return _in_place(places, attributes) and (not actions or any(_acts(action, attributes) for action in actions))


def _in_place(places: Sequence[str], attributes: Attributes) -> bool:
    if not places:
        return True
    if attributes.group == "" and attributes.resource == "namespaces":
        return attributes.name in places and attributes.verb in _READ_VERBS
    return attributes.namespace in places


def _acts(action: str, attributes: Attributes) -> bool:
    if action == WRITE:
        return True
    reads = attributes.verb in _READ_VERBS and attributes.subresource not in _STREAMS
    if action == READ:
        return reads and attributes.resource not in ("secrets", "tokens")
    # What Git needs is asked by the Git host; at the API a push token may look at repositories, no more.
    return reads and (attributes.group, attributes.resource) == _REPOSITORIES


def for_git(identity: Identity) -> Identity | None:
    """``identity`` as the Git host should take it: ``git`` becomes ``write``, ``git:read`` is ``read`` of repositories; None
    where its token is not for Git at all.
    """
    scopes = scopes_of(identity)
    actions = [scope for scope in scopes if not scope.startswith(NAMESPACE)]
    if not actions or WRITE in actions:
        return identity
    if GIT in actions:
        places = [scope for scope in scopes if scope.startswith(NAMESPACE)]
        return replace(identity, extra={**identity.extra, EXTRA: (*places, WRITE)})
    return identity if GIT_READ in actions or READ in actions else None
