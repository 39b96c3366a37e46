"""The names that tie objects to the application they came from; used by the Git host and the engine alike."""

from __future__ import annotations

GROUP = "gitops.moorage.io"
API_VERSION = f"{GROUP}/v1"
FIELD_MANAGER = "moorage-gitops"
"""Owner of every field that came from Git (server-side apply)."""
APPLICATION_LABEL = f"{GROUP}/application"
"""On every object from Git: the name of its Application, for selectors."""
TRACKING_ANNOTATION = f"{GROUP}/tracking-id"
"""On every object from Git: which Application of which namespace put which object. A copy of an object keeps the text of the
original, so it is recognised as a copy and never pruned.
"""
APPLIED_ANNOTATION = f"{GROUP}/applied"
"""On every object from Git: the digest of the fields that the last push owned; another digest of the live object means a change
outside Git.
"""
PRUNE_ANNOTATION = f"{GROUP}/prune"
"""``disabled`` keeps an object that has left the tree."""


def tracking_id(namespace: str, application: str, group: str, kind: str, object_namespace: str, name: str) -> str:
    """The value of the tracking annotation: ``shop/web apps/Deployment shop/web``."""
    qualified = f"{group}/{kind}" if group else kind
    place = f"{object_namespace}/{name}" if object_namespace else name
    return f"{namespace}/{application} {qualified} {place}"


def tracked_by(value: str) -> tuple[str, str]:
    """Namespace and name of the Application that a tracking annotation names; empty where it names none."""
    namespace, slash, name = value.partition(" ")[0].partition("/")
    return (namespace, name) if slash else ("", "")
